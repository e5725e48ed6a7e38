package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/devcert"
	"github.com/stekring/stekring/keyring/seal"
)

const (
	interval = 10 * time.Second
	ttl      = 3 * time.Second // of leases: how soon a death is noticed
	site     = "www.demo"      // the name that all nodes serve
)

// files writes what the containers need: certificates by one CA, whose key is
// gone when files returns, the KEK, and the nodes' configuration. Nobody but the
// containers' user can read the secrets.
func (d *docker) files() error {
	ca, err := devcert.NewAuthority()
	if err != nil {
		return err
	}
	wwwPEM, wwwKey, err := issue(ca, site)
	if err != nil {
		return err
	}
	cfg := config.Config{
		Ring:      "www",
		Etcd:      config.Etcd{Prefix: "/stekring", CAFile: "/etc/stekring/ca.pem", CertFile: "/etc/stekring/cert.pem", KeyFile: "/etc/stekring/key.pem"},
		Rotation:  config.Rotation{Interval: interval, TicketLifetime: lifetime, Enabled: true},
		Election:  config.Election{TTL: ttl, Candidate: true},
		Reports:   config.Reports{Enabled: true},
		Seal:      config.Seal{KEKFile: "/etc/stekring/kek"},
		Outage:    "local",
		Tickets:   config.Tickets{Enabled: true},
		Listeners: []config.Listener{{Address: ":8443", CertFile: "/etc/stekring/www.pem", KeyFile: "/etc/stekring/www-key.pem"}},
		HTTP:      config.HTTP{Address: ":9474"}, // the containers' networks are of this machine
		Log:       config.Log{Level: "info", Format: "json"},
	}
	for n := range members {
		cfg.Etcd.Endpoints = append(cfg.Etcd.Endpoints, fmt.Sprintf("https://etcd-%d:2379", n+1))
	}
	yaml, err := cfg.YAML()
	if err != nil {
		return err
	}
	kek := seal.NewKEK().File()
	for n := range members {
		for _, kind := range []string{"etcd", "node"} {
			host := fmt.Sprintf("%s-%d", kind, n+1)
			certPEM, keyPEM, err := issue(ca, host)
			if err != nil {
				return err
			}
			files := map[string][]byte{"ca.pem": ca.PEM, "cert.pem": certPEM, "key.pem": keyPEM}
			if kind == "node" {
				files["kek"], files["stekring.yaml"], files["www.pem"], files["www-key.pem"] = kek, yaml, wwwPEM, wwwKey
			}
			if err := d.fill(host, files); err != nil {
				return err
			}
		}
		if err := d.fill(fmt.Sprintf("data-%d", n+1), nil); err != nil {
			return err
		}
	}
	if err := d.fill("load", map[string][]byte{"ca.pem": ca.PEM}); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.dir, ".env"), []byte("STEKRING_USER="+d.user+"\nCOMPOSE_PROJECT_NAME="+project+"\n"), 0o600)
}

// issue returns what the files of a certificate for a host hold.
func issue(ca *devcert.Authority, host string) (certPEM, keyPEM []byte, err error) {
	cert, err := ca.Issue(host, "localhost", "127.0.0.1")
	if err != nil {
		return nil, nil, err
	}
	return devcert.Files(cert)
}

// fill makes a directory of files that are the containers' user's alone.
func (d *docker) fill(name string, files map[string][]byte) error {
	dir := filepath.Join(d.work(), name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	paths := []string{dir}
	for name, content := range files {
		paths = append(paths, filepath.Join(dir, name))
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	if os.Getuid() != 0 {
		return nil
	}
	for _, path := range paths {
		if err := os.Chown(path, nobody, nobody); err != nil {
			return err
		}
	}
	return nil
}

// nobody is who runs in the containers if it is root who starts them.
const nobody = 65532

// user returns who runs in the containers: whoever wrote the files, but not root.
func user() string {
	if os.Getuid() <= 0 || runtime.GOOS == "windows" {
		return fmt.Sprintf("%d:%d", nobody, nobody)
	}
	return fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
}

// tail returns the last lines of what a command printed.
func tail(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}
