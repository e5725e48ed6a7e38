package tlsbind

import (
	"crypto/tls"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/stekring/stekring/keyring"
)

// tally counts events by all that they say but their exact age.
type tally struct {
	mu   sync.Mutex
	seen map[string]int
}

func (y *tally) observe(e Event) {
	y.mu.Lock()
	defer y.mu.Unlock()
	age := "of some age"
	if e.Age < 0 {
		age = "of no age"
	}
	if y.seen == nil {
		y.seen = map[string]int{}
	}
	y.seen[fmt.Sprintf("%v %v %s", e.Kind, e.Role, age)]++
}

func (y *tally) take() map[string]int {
	y.mu.Lock()
	defer y.mu.Unlock()
	seen := y.seen
	y.seen = nil
	return seen
}

// TestEvents makes one connection of each kind and wants exactly its events.
func TestEvents(t *testing.T) {
	for _, version := range versions {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			ring := fresh()
			src, events := source(ring), new(tally)
			base := serverConfig(t)
			base.NextProtos = []string{}
			fake := new(clock)
			addr := serve(t, bound(t, Binder{Source: src, PerName: true, MaxSessionAge: time.Hour, Observe: events.observe}, fake.given(base)))
			ahead := source(next(t, ring))
			elsewhere := serve(t, bound(t, Binder{Source: ahead, PerName: true, MaxSessionAge: time.Hour, Observe: func(Event) {}}, base))
			again := "issued active of no age" // resumed by TLS 1.2, a client gets its ticket back
			visit := func(what, addr string, c *tls.Config, want map[string]int) {
				t.Helper()
				if version == tls.VersionTLS12 && want["resumed none of no age"] > 0 {
					delete(want, again)
				}
				if _, err := get(addr, c); err != nil {
					t.Fatal(err)
				}
				if got := events.take(); !maps.Equal(got, want) {
					t.Errorf("%s: events %v, want %v", what, got, want)
				}
			}
			full := func(missed ...string) map[string]int {
				want := map[string]int{"full none of no age": 1, again: 1}
				for _, m := range missed {
					want[m] = 1
				}
				return want
			}
			opened := func(role string) map[string]int {
				return map[string]int{"resumed none of no age": 1, again: 1, "opened " + role + " of some age": 1}
			}

			c, p := client(version)
			visit("without a ticket", addr, c, full())
			own := p.session
			visit("with its ticket", addr, c, opened("active"))
			if _, err := get(elsewhere, c); err != nil || p.session == nil {
				t.Fatal(err)
			}
			p.session = nil
			if _, err := get(elsewhere, c); err != nil {
				t.Fatal(err)
			}
			visit("with one of a server that is ahead", addr, c, opened("staged"))
			p.session = own
			src.Store(next(t, ring))
			visit("with one of before a rotation", addr, c, opened("retired"))

			p.session = own
			c.InsecureSkipVerify, c.ServerName = true, "another.test"
			visit("with one for another name", addr, c, full("elsewhere none of no age"))
			c.InsecureSkipVerify, c.ServerName = false, "example.com"

			p.session = own
			fake.wait(2 * time.Hour)
			visit("with one that is too old", addr, c, full("too_old none of no age"))
			src.Store(fresh())
			visit("with one whose key is gone", addr, c, full("no_key none of no age"))
		})
	}
}

// TestEventsOfOthers has tickets that say nothing of themselves, and servers that
// give none.
func TestEventsOfOthers(t *testing.T) {
	ring := fresh()
	events := new(tally)
	b := Binder{Source: keyring.Static(ring), Observe: events.observe}
	addr := serve(t, bound(t, b, serverConfig(t)))
	c, _ := client(tls.VersionTLS13)
	resumes(t, "first", serve(t, Config(serverConfig(t), keyring.Static(ring))), c, false)
	resumes(t, "a ticket without a mark", addr, c, true)
	want := map[string]int{"resumed none of no age": 1, "issued active of no age": 1, "opened none of no age": 1}
	if got := events.take(); !maps.Equal(got, want) {
		t.Errorf("events of a ticket without a mark: %v, want %v", got, want)
	}
	base := serverConfig(t)
	base.NextProtos = []string{}
	aged := serve(t, bound(t, Binder{Source: keyring.Static(ring), MaxSessionAge: time.Hour, Observe: events.observe}, base))
	resumes(t, "a ticket without an age", serve(t, Config(serverConfig(t), keyring.Static(ring))), c, true)
	resumes(t, "a ticket without an age, where that counts", aged, c, false)
	if got := events.take(); got["no_age none of no age"] != 1 || got["full none of no age"] != 1 {
		t.Errorf("events of a ticket without an age: %v", got)
	}
	if s, err := bound(t, b, nil).UnwrapSession(make([]byte, maxTicket+1), tls.ConnectionState{Version: tls.VersionTLS13}); s != nil || err != nil {
		t.Errorf("a large ticket: %v, %v, want nil, nil", s, err)
	}
	if got := events.take(); !maps.Equal(got, map[string]int{"too_large none of no age": 1}) {
		t.Errorf("events of a large ticket: %v", got)
	}
	base = serverConfig(t)
	base.SessionTicketsDisabled = true
	resumes(t, "where tickets are disabled", serve(t, bound(t, b, base)), c, false)
	resumes(t, "where they are for some names", serve(t, bound(t, b, &tls.Config{GetConfigForClient: always(base)})), c, false)
	if got := events.take(); !maps.Equal(got, map[string]int{"full none of no age": 2}) {
		t.Errorf("events without tickets: %v, want two full handshakes", got)
	}
}

// TestObserveKeepsVerifyConnection guards the check of the caller, which the
// observer comes after.
func TestObserveKeepsVerifyConnection(t *testing.T) {
	events := new(tally)
	base := serverConfig(t)
	base.VerifyConnection = func(tls.ConnectionState) error { return fmt.Errorf("no") }
	addr := serve(t, bound(t, Binder{Source: keyring.Static(fresh()), Observe: events.observe}, base))
	for _, version := range versions {
		c, _ := client(version)
		if _, err := get(addr, c); err == nil {
			t.Errorf("%s: the handshake passed", tls.VersionName(version))
		}
	}
	for e := range events.take() {
		if e[:6] != "issued" {
			t.Errorf("event %s of a handshake that was refused", e)
		}
	}
}
