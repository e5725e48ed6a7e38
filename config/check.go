package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stekring/stekring/keyring"
)

// warnInterval is the interval above which a stolen key opens more than a day.
const warnInterval = 24 * time.Hour

// nameRule is what can stand in a path of etcd and in a label of a metric.
var nameRule = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// A checker holds a configuration against the rules that types cannot express.
type checker struct {
	*collector
	cfg *Config
	dev bool
}

func (c *checker) all() {
	c.names()
	c.etcd()
	c.rotation()
	c.election()
	c.seal()
	c.tickets()
	c.listeners()
	c.oneOf("outage", c.cfg.Outage, "local", "keep")
	if !c.cfg.Reports.Enabled && c.cfg.Election.Candidate {
		c.warn("reports.enabled", "false", "status, rotate and revoke do not know of this node until it leads; leave it true on two or three")
	}
	if c.cfg.Outage == "keep" {
		c.warn("outage", "keep", "during a long outage one key seals without end; forward secrecy ends with it")
	}
	c.oneOf("log.level", c.cfg.Log.Level, "debug", "info", "warn", "error")
	c.oneOf("log.format", c.cfg.Log.Format, "json", "console")
}

func (c *checker) warn(field, given, text string) {
	c.cfg.Warnings = append(c.cfg.Warnings, fmt.Sprintf("%s: %s: %s", field, given, text))
}

func (c *checker) oneOf(field, given string, want ...string) {
	if !slices.Contains(want, given) {
		c.report(field, show(given), "must be one of "+strings.Join(want, ", "))
	}
}

func (c *checker) names() {
	const rule = "must be 1 to 128 of A-Z a-z 0-9 . _ - and not of dots alone"
	if c.cfg.Ring == "" {
		c.missing("ring", "is required; name the ring that this fleet shares, such as www")
	} else if !validName(c.cfg.Ring) {
		c.report("ring", show(c.cfg.Ring), rule)
	}
	if c.cfg.NodeID != "" && !validName(c.cfg.NodeID) {
		c.report("node_id", show(c.cfg.NodeID), rule+"; or leave it out for the host name and a random suffix")
	}
}

func validName(s string) bool { return nameRule.MatchString(s) && strings.Trim(s, ".") != "" }

// rotation asks the policy itself. A second policy in which only one of the two
// can be wrong tells which field to name.
func (c *checker) rotation() {
	r := c.cfg.Rotation
	interval := keyring.Policy{Interval: r.Interval, TicketLifetime: r.Interval}.Validate()
	lifetime := keyring.Policy{Interval: keyring.MaxInterval, TicketLifetime: r.TicketLifetime}.Validate()
	if interval != nil {
		c.report("rotation.interval", r.Interval.String(),
			fmt.Sprintf("must lie between %v and %v; 1h is a good choice", keyring.MinInterval, keyring.MaxInterval))
	}
	if lifetime != nil {
		c.report("rotation.ticket_lifetime", r.TicketLifetime.String(),
			fmt.Sprintf("must be above 0 and at most %v; 12h is a good choice", keyring.MaxTicketLifetime))
	}
	if interval == nil && lifetime == nil && c.fine("rotation.interval", "rotation.ticket_lifetime") {
		if err := c.cfg.Policy().Validate(); err != nil {
			c.either("rotation.ticket_lifetime", r.TicketLifetime, strings.TrimPrefix(err.Error(), "keyring: "))
		}
	}
	if r.Interval > warnInterval {
		c.warn("rotation.interval", r.Interval.String(), "a stolen key opens the traffic of more than a day")
	}
	if !r.Enabled {
		c.warn("rotation.enabled", "false", "keys change on request only; one key seals until then, however long")
	}
}

// either reports a field that does not fit the interval, or the interval if
// only that was set by someone.
func (c *checker) either(field string, given time.Duration, rule string) {
	if place, _ := c.where(field, false); place == byDefault {
		field, given = "rotation.interval", c.cfg.Rotation.Interval
	}
	c.report(field, given.String(), rule)
}

func (c *checker) election() {
	ttl := c.cfg.Election.TTL
	switch {
	case ttl < 2*time.Second || ttl > 5*time.Minute || ttl%time.Second != 0:
		c.report("election.ttl", ttl.String(), "must be whole seconds from 2s to 5m; 15s is a good choice")
	case ttl >= c.cfg.Rotation.Interval && c.cfg.Rotation.Interval >= keyring.MinInterval && c.fine("rotation.interval"):
		c.either("election.ttl", ttl, fmt.Sprintf(
			"a ttl of %v must be below the interval of %v, or a failover misses a rotation; shorten the ttl, to 2s at least, or raise the interval",
			ttl, c.cfg.Rotation.Interval))
	}
}

func (c *checker) seal() {
	s := c.cfg.Seal
	switch {
	case s.InsecurePlaintext && s.KEKFile != "":
		c.report("seal.insecure_plaintext", "true", "excludes seal.kek_file; remove one of them")
	case s.InsecurePlaintext:
		c.warn("seal.insecure_plaintext", "true", "whoever reads etcd, its disk or its backups can open recorded traffic")
	case s.KEKFile == "" && !c.dev && c.fine("seal.insecure_plaintext"):
		c.missing("seal.kek_file", "is required; give the file that all nodes have, or make the first with: stekring keygen --out FILE")
	}
}

// tickets bounds sessions by what a ticket may live. Below a second they would
// not resume at all, as a ticket counts in seconds.
func (c *checker) tickets() {
	if age := c.cfg.Tickets.MaxSessionAge; age != 0 && (age < time.Second || age > keyring.MaxTicketLifetime) {
		c.report("tickets.max_session_age", age.String(),
			fmt.Sprintf("must be 0s for no bound, or from 1s to %v", keyring.MaxTicketLifetime))
	}
}
