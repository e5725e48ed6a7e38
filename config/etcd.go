package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const maxPrefix = 256

func (c *checker) etcd() {
	e := c.cfg.Etcd
	if len(e.Endpoints) == 0 && !c.dev {
		c.missing("etcd.endpoints", "is required; give at least one, such as [https://etcd-1:2379]")
	}
	c.endpoints()
	c.prefix()
	c.pair("etcd.cert_file", e.CertFile, "etcd.key_file", e.KeyFile)
	c.pair("etcd.username", e.Username, "etcd.password_file", e.PasswordFile)
}

func (c *checker) endpoints() {
	e := c.cfg.Etcd
	var schemes []string
	seen := map[string]bool{}
	remote := false
	for i, s := range e.Endpoints {
		field := fmt.Sprintf("etcd.endpoints[%d]", i)
		u, rule := endpoint(s)
		switch {
		case rule != "":
			c.report(field, show(s), rule)
			continue
		case seen[s]:
			c.report(field, show(s), "repeats another endpoint; remove one of them")
		case u.Scheme == "http" && !loopback(u.Hostname()):
			remote = true
			if !e.Insecure {
				c.report(field, show(s), "http is for this host only; use https, or set etcd.insecure to send the ring over an open wire")
			}
		}
		seen[s] = true
		if !slices.Contains(schemes, u.Scheme) {
			schemes = append(schemes, u.Scheme)
		}
	}
	switch {
	case len(schemes) > 1:
		c.report("etcd.endpoints", "", "must not mix http and https; use https for all")
	case slices.Contains(schemes, "http"):
		c.noTLS()
	}
	if e.Insecure && remote {
		c.warn("etcd.insecure", "true", "etcd is reached without TLS: anyone on the way can change the ring or withhold it")
	}
}

// noTLS reports what only has a meaning with https.
func (c *checker) noTLS() {
	e := c.cfg.Etcd
	for _, f := range []struct{ field, value string }{
		{"etcd.ca_file", e.CAFile}, {"etcd.cert_file", e.CertFile}, {"etcd.key_file", e.KeyFile},
	} {
		if f.value != "" {
			c.report(f.field, show(f.value), "has no use with http endpoints; use https endpoints or remove it")
		}
	}
}

// endpoint returns the rule that s breaks, or "".
func endpoint(s string) (*url.URL, string) {
	u, rule := httpURL(s)
	switch {
	case rule != "":
		return nil, rule + "; write it as https://etcd-1:2379" + credentials(s)
	case u.Port() == "":
		return nil, "has no port; etcd's is 2379"
	case u.Path != "":
		return nil, "must end after the port; remove the path"
	}
	return u, ""
}

func credentials(s string) string {
	if !strings.Contains(s, "@") {
		return ""
	}
	return " with etcd.username and etcd.password_file beside it"
}

// httpURL returns the rule that s breaks as the URL of a server, or "". The
// error of url.Parse is left out because it repeats s.
func httpURL(s string) (*url.URL, string) {
	if strings.Contains(s, "@") {
		return nil, "must hold no user and no password"
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://"): // as those who dial compare it
		return nil, "must begin with http:// or https:// and a host"
	case u.Hostname() == "":
		return nil, "must have a host"
	case strings.HasSuffix(u.Host, ":") || u.Port() != "" && !validPort(u.Port(), 1):
		return nil, "must have a port from 1 to 65535 after the colon"
	case strings.ContainsAny(s, "?#"):
		return nil, "must hold no query and no fragment"
	}
	return u, ""
}

func (c *checker) prefix() {
	p := c.cfg.Etcd.Prefix
	const field = "etcd.prefix"
	rule := ""
	elements := strings.Split(p, "/")
	switch {
	case !strings.HasPrefix(p, "/"):
		rule = "must begin with /"
	case strings.HasSuffix(p, "/"):
		rule = "must not end with /"
	case len(p) > maxPrefix:
		rule = fmt.Sprintf("must have at most %d bytes, has %d", maxPrefix, len(p))
	case slices.ContainsFunc(elements[1:], func(s string) bool { return s == "" || s == "." || s == ".." }):
		rule = "must not have empty, . or .. between its slashes"
	}
	if rule != "" {
		c.report(field, show(p), rule+"; the default is /stekring")
	}
}

// pair reports one of two fields that only make sense together.
func (c *checker) pair(a, given, b, other string) {
	if given == "" {
		a, given, b, other = b, other, a, given
	}
	if given != "" && other == "" && c.fine(a, b) && !c.meant[b] {
		c.report(a, show(given), "needs "+b+" as well; set both or none")
	}
}

func validPort(s string, least int) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && int(n) >= least
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}
