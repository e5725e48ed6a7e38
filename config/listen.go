package config

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
)

// hostname is loose on purpose: the resolver knows the rest.
var hostname = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,253}$`)

func (c *checker) listeners() {
	taken := map[string]string{}
	if a := c.cfg.HTTP.Address; a != "" {
		c.address("http.address", a, "or empty for none", taken)
		if host, _, err := net.SplitHostPort(a); err == nil && !loopback(host) {
			c.warn("http.address", show(a), "the status page and the metrics are open to other hosts, without a password")
		}
	}
	for i, l := range c.cfg.Listeners {
		field := fmt.Sprintf("listeners[%d]", i)
		if l.Address == "" {
			c.missing(field+".address", "is required; such as :8443")
		} else {
			c.address(field+".address", l.Address, "such as :8443", taken)
		}
		switch cert, key := field+".cert_file", field+".key_file"; {
		case l.CertFile != "" || l.KeyFile != "":
			c.pair(cert, l.CertFile, key, l.KeyFile)
		case !c.dev:
			c.missing(cert, "is required; a listener needs cert_file and key_file")
		}
		if l.Upstream != "" {
			if _, rule := httpURL(l.Upstream); rule != "" {
				c.report(field+".upstream", show(l.Upstream), rule+"; write it as http://127.0.0.1:8080")
			}
		}
	}
}

// address checks one address, and that no other listener has it already.
func (c *checker) address(field, given, example string, taken map[string]string) {
	host, port, err := net.SplitHostPort(given)
	_, ip := netip.ParseAddr(host)
	if err != nil || !validPort(port, 0) || host != "" && ip != nil && !hostname.MatchString(host) {
		c.report(field, show(given), "must be host:port with a port from 0 to 65535, "+example)
		return
	}
	if port == "0" && field == "http.address" {
		return // any free port; but listeners are told apart by their address
	}
	if a, err := netip.ParseAddr(host); host == "" || err == nil && a.IsUnspecified() {
		host = "every address"
	}
	same := net.JoinHostPort(host, port)
	if other, ok := taken[same]; ok {
		c.report(field, show(given), "is taken by "+other+" already; choose another port")
		return
	}
	taken[same] = field
}
