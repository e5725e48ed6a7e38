package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stekring/stekring/keyring"
)

// canaries are the secrets that testdata and tests put where they do not belong.
var canaries = []string{"hunter2", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "0001020304050607"}

// problems returns the lines of an *Error, and fails on any other error and on a
// line with a secret or a control character.
func problems(t *testing.T, err error) []string {
	t.Helper()
	var e *Error
	if err == nil {
		return nil
	}
	if !errors.As(err, &e) {
		t.Fatalf("error %v (%T), want *Error", err, err)
	}
	for _, p := range e.Problems {
		for _, secret := range canaries {
			if strings.Contains(p, secret) {
				t.Errorf("a secret in %q", p)
			}
		}
		if strings.ContainsFunc(p, func(r rune) bool { return r < ' ' }) {
			t.Errorf("a control character in %q", p)
		}
	}
	return e.Problems
}

// match wants one line for each text, in order, that contains it.
func match(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("nothing, want %q", want[i])
		case i >= len(want):
			t.Errorf("got %q, want nothing", got[i])
		case !strings.Contains(got[i], want[i]):
			t.Errorf("got  %q\nwant %q", got[i], want[i])
		}
	}
}

func marked(data []byte, mark string) []string {
	var list []string
	for _, m := range regexp.MustCompile(`(?m)^# `+mark+`: (.*)$`).FindAllSubmatch(data, -1) {
		list = append(list, string(m[1]))
	}
	return list
}

// each runs test for every file that matches. Files that begin with dev are for
// run --dev.
func each(t *testing.T, pattern string, test func(t *testing.T, file string, data []byte, dev bool)) {
	files, _ := filepath.Glob("testdata/" + pattern)
	if len(files) == 0 {
		t.Fatalf("no %s", pattern)
	}
	for _, file := range files {
		base := filepath.Base(file)
		t.Run(base, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			test(t, file, data, strings.HasPrefix(base, "dev"))
		})
	}
}

func TestBad(t *testing.T) {
	each(t, "*.bad.yaml", func(t *testing.T, file string, data []byte, dev bool) {
		c, err := Load(file, nil, dev)
		if c != nil {
			t.Errorf("Load(%s) = %+v, want nil", file, c)
		}
		match(t, problems(t, err), marked(data, "want"))
	})
}

func TestGood(t *testing.T) {
	each(t, "*.good.yaml", func(t *testing.T, file string, data []byte, dev bool) {
		c, err := Load(file, nil, dev)
		if err != nil {
			t.Fatal(err)
		}
		match(t, c.Warnings, marked(data, "warning"))
		roundTrip(t, c, dev)
	})
}

func roundTrip(t *testing.T, c *Config, dev bool) {
	t.Helper()
	b, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := parse("again.yaml", b, nil, nil, dev)
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	if b2, _ := again.YAML(); !equal(c, again) || string(b2) != string(b) {
		t.Errorf("YAML reads back as %+v, want %+v\n%s", again, c, b)
	}
}

// equal takes a list without elements for no list.
func equal(a, b *Config) bool {
	x, y := *a, *b
	for _, c := range []*Config{&x, &y} {
		c.Etcd.Endpoints = append([]string(nil), c.Etcd.Endpoints...)
		c.Listeners = append([]Listener(nil), c.Listeners...)
	}
	return reflect.DeepEqual(x, y)
}

func TestDesign(t *testing.T) {
	c, err := Load("testdata/full.good.yaml", nil, false)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Ring:   "www",
		NodeID: "edge-1",
		Etcd: Etcd{
			Endpoints: []string{"https://etcd-1:2379", "https://etcd-2:2379"}, Prefix: "/stekring",
			CAFile: "/etc/stekring/ca.pem", CertFile: "/etc/stekring/node.pem", KeyFile: "/etc/stekring/node-key.pem",
		},
		Rotation: Rotation{Interval: time.Hour, TicketLifetime: 12 * time.Hour, Enabled: true},
		Election: Election{TTL: 15 * time.Second, Candidate: true},
		Reports:  Reports{Enabled: true},
		Seal:     Seal{KEKFile: "/etc/stekring/kek"},
		Outage:   "local",
		Tickets:  Tickets{Enabled: true, MaxSessionAge: 24 * time.Hour},
		Listeners: []Listener{{
			Address: ":8443", CertFile: "/etc/stekring/www.pem", KeyFile: "/etc/stekring/www-key.pem", Upstream: "http://127.0.0.1:8080",
		}},
		HTTP: HTTP{Address: "127.0.0.1:9474"},
		Log:  Log{Level: "info", Format: "json"},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("Load = %+v\nwant %+v", c, want)
	}
	if c.Policy() != keyring.DefaultPolicy {
		t.Errorf("Policy = %+v, want %+v", c.Policy(), keyring.DefaultPolicy)
	}
	c.Rotation.Enabled = false
	if !c.Policy().Manual {
		t.Error("Policy is not manual without rotation")
	}
}

func TestDev(t *testing.T) {
	c, err := Load("", nil, true)
	if err != nil {
		t.Fatal(err)
	}
	want := defaults(true)
	if c.Ring != "dev" || c.Log.Format != "console" || !equal(c, &want) {
		t.Errorf("Load = %+v, want %+v", c, want)
	}
	if _, err := Load("", nil, false); len(problems(t, err)) != 3 {
		t.Errorf("Load without anything = %v, want ring, endpoints and KEK missing", err)
	}
}

func TestUnreadable(t *testing.T) {
	big := filepath.Join(t.TempDir(), "big.yaml")
	if err := os.WriteFile(big, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"testdata":      "testdata: must be a regular file",
		os.DevNull:      os.DevNull + ": must be a regular file",
		"testdata/none": "testdata/none: no such file or directory",
		big:             big + ": must be at most 1048576 bytes",
	} {
		_, err := Load(file, nil, false)
		match(t, problems(t, err), []string{want})
	}
}

func TestManyProblems(t *testing.T) {
	_, err := parse("many.yaml", []byte(strings.Repeat("a:\n", maxFile/3)), nil, nil, true)
	if p := problems(t, err); len(p) != maxProblems+1 || p[maxProblems] != "and 349425 more" {
		t.Errorf("%d problems, the last %q", len(p), p[len(p)-1])
	}
}
