// Package config turns a YAML file, the environment and flags into one checked
// struct. Use [Load], then [Config.CheckFiles] before anything is started.
//
// A flag wins over an environment variable, which wins over the file, which
// wins over the default. A variable is STEKRING_ and the key in upper case with
// underscores for dots, a list in it has commas, and a variable that is set but
// empty sets an empty value. Relative paths are relative to the working
// directory, wherever the file lies. Keys never hold a secret, only the paths of
// files that do. An empty string is as good as an absent optional key.
package config

import (
	"bytes"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/stekring/stekring/keyring"
)

// Config is all that one node is told.
type Config struct {
	Ring      string     `yaml:"ring"`
	NodeID    string     `yaml:"node_id,omitempty"` // empty: the rotator makes one
	Etcd      Etcd       `yaml:"etcd"`
	Rotation  Rotation   `yaml:"rotation"`
	Election  Election   `yaml:"election"`
	Reports   Reports    `yaml:"reports"`
	Seal      Seal       `yaml:"seal"`
	Outage    string     `yaml:"outage"` // local or keep
	Tickets   Tickets    `yaml:"tickets"`
	Listeners []Listener `yaml:"listeners"` // none is fine
	HTTP      HTTP       `yaml:"http"`
	Log       Log        `yaml:"log"`

	// Warnings are legal choices that an operator should hear about.
	Warnings []string `yaml:"-"`
}

// Etcd says how to reach etcd.
type Etcd struct {
	Endpoints    []string `yaml:"endpoints"`
	Prefix       string   `yaml:"prefix"`
	CAFile       string   `yaml:"ca_file,omitempty"`
	CertFile     string   `yaml:"cert_file,omitempty"`
	KeyFile      string   `yaml:"key_file,omitempty"`
	Username     string   `yaml:"username,omitempty"`
	PasswordFile string   `yaml:"password_file,omitempty"`
	// Insecure allows http to hosts other than this one.
	Insecure bool `yaml:"insecure"`
}

// Rotation is the policy of the ring, should this node lead.
type Rotation struct {
	Interval       time.Duration `yaml:"interval"`
	TicketLifetime time.Duration `yaml:"ticket_lifetime"`
	Enabled        bool          `yaml:"enabled"`
}

// Election says whether and how this node stands.
type Election struct {
	TTL       time.Duration `yaml:"ttl"`
	Candidate bool          `yaml:"candidate"`
}

// Reports says whether a candidate reports, or only if it must.
type Reports struct {
	Enabled bool `yaml:"enabled"`
}

// Seal says what seals the ring in etcd.
type Seal struct {
	KEKFile           string `yaml:"kek_file,omitempty"`
	InsecurePlaintext bool   `yaml:"insecure_plaintext"`
}

// Tickets says which tickets the listeners give and take.
type Tickets struct {
	TLS12   bool `yaml:"tls12"`
	Enabled bool `yaml:"enabled"`
	// MaxSessionAge is how long a client can resume from one full handshake on; 0
	// is no bound.
	MaxSessionAge time.Duration `yaml:"max_session_age"`
}

// Listener is one TLS listener. Without an upstream it serves a page about the
// connection.
type Listener struct {
	Address  string `yaml:"address"`
	CertFile string `yaml:"cert_file,omitempty"`
	KeyFile  string `yaml:"key_file,omitempty"`
	Upstream string `yaml:"upstream,omitempty"`
}

// HTTP is where the status page and the metrics are; nowhere if Address is empty.
type HTTP struct {
	Address string `yaml:"address"`
}

// Log says what is logged and how.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn or error
	Format string `yaml:"format"` // json or console
}

// defaults returns what holds where nobody says otherwise. What must be said is
// empty in it.
func defaults(dev bool) Config {
	c := Config{
		Etcd: Etcd{Prefix: "/stekring"},
		Rotation: Rotation{
			Interval:       keyring.DefaultPolicy.Interval,
			TicketLifetime: keyring.DefaultPolicy.TicketLifetime,
			Enabled:        true,
		},
		Election: Election{TTL: 15 * time.Second, Candidate: true},
		Reports:  Reports{Enabled: true},
		Outage:   "local",
		Tickets:  Tickets{Enabled: true},
		HTTP:     HTTP{Address: "127.0.0.1:9474"},
		Log:      Log{Level: "info", Format: "json"},
	}
	if dev {
		c.Ring, c.Log.Format = "dev", "console"
	}
	return c
}

// Policy returns how the ring ages under c.
func (c *Config) Policy() keyring.Policy {
	return keyring.Policy{
		Interval:       c.Rotation.Interval,
		TicketLifetime: c.Rotation.TicketLifetime,
		Manual:         !c.Rotation.Enabled,
	}
}

// YAML returns c as a file that [Load] reads back to the same configuration. It
// holds paths of secrets and no secret.
func (c *Config) YAML() ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(c); err != nil {
		return nil, err
	}
	return b.Bytes(), enc.Close()
}
