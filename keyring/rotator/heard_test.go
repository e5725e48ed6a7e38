package rotator

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/seal"
)

func unconnected(t *testing.T) *Rotator {
	t.Helper()
	r, err := New(Config{Client: clientv3.NewCtxClient(context.Background()), Ring: "test", KEK: seal.NewKEK(), Policy: hourly})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestAgeOfAnArrival is how old a node takes a record for that comes after it
// was away: by its stamp, but for no longer than it was away.
func TestAgeOfAnArrival(t *testing.T) {
	r := unconnected(t)
	now := time.Now()
	for name, c := range map[string]struct{ away, stamped, want time.Duration }{
		"followed":                      {10 * time.Second, 3 * time.Second, 0},
		"followed, clock ahead":         {10 * time.Second, time.Hour, 0},
		"away":                          {11 * time.Hour, 5 * time.Hour, 5 * time.Hour},
		"away, clock a year ahead":      {11 * time.Hour, 8760 * time.Hour, 11 * time.Hour},
		"away, clock a year behind":     {11 * time.Hour, -8760 * time.Hour, 0},
		"started":                       {-1, 9 * time.Hour, 9 * time.Hour},
		"started after days":            {-1, 72 * time.Hour, 72 * time.Hour},
		"started, stamp of the future":  {-1, -time.Hour, 0},
		"away, stamp of before it left": {time.Hour, 2 * time.Hour, time.Hour},
	} {
		heard := now.Add(-c.away)
		if c.away < 0 {
			heard = time.Time{}
		}
		ring := hourly.First(1, 1, now.Add(-c.stamped))
		r.heard = heard
		seen, guess := r.written(ring, now)
		if got, followed := now.Sub(seen), strings.HasPrefix(name, "followed"); got != c.want || guess == followed {
			t.Errorf("%s: age %v, a guess %t; want %v, %t", name, got, guess, c.want, !followed)
		}
	}
}

// TestDeadRingStaysDead is a node that starts long after anybody rotated.
func TestDeadRingStaysDead(t *testing.T) {
	for _, age := range []time.Duration{26 * time.Hour, 72 * time.Hour, 8760 * time.Hour} {
		r := unconnected(t)
		now := time.Now()
		old := hourly.First(1, 1, now.Add(-age))
		seen, guess := r.written(old, now)
		r.view.take(old, digest{}, seen, guess)
		for _, k := range old.TicketKeys("") {
			if opens(r.Ring(), k) {
				t.Errorf("a ring that was last rotated %v ago still opens tickets", age)
			}
		}
	}
}

// TestGuessEndsWithTheNextRing is a node that starts with its clock ahead, takes
// the next ring as it comes, and then leads: the fleet keeps its keys.
func TestGuessEndsWithTheNextRing(t *testing.T) {
	for _, ahead := range []time.Duration{0, 14 * time.Hour, 30 * time.Hour, 8760 * time.Hour} {
		r := unconnected(t)
		now := time.Now()
		ring := hourly.First(1, 1, now.Add(-ahead)) // as if the stamp, and not the clock, were off
		for range 12 {
			ring, _ = hourly.Next(ring, now.Add(-time.Hour), now)
		}
		old := hourly.Again(ring, 14, now, now)
		seen, guess := now.Add(-ahead), true
		r.view.take(old, digest{1}, seen, guess)
		next, _ := hourly.Next(ring, now.Add(-time.Hour), now)
		again := hourly.Again(next, 15, now, now)
		r.view.take(again, digest{2}, now, false)
		h, _ := r.view.snapshot()
		d := plan(situation{policy: hourly, held: h, etcd: sighting{info: again.Info(), refuse: errMissing}, now: now})
		if got, want := len(d.ring.Info().Keys), len(again.Info().Keys); got != want {
			t.Errorf("clock %v ahead: %d keys written, want all %d", ahead, got, want)
		}
	}
}

// TestKeptKeyRetiresFromTheHeal is outage: keep, where a key that sealed through
// an outage has its whole retirement before it.
func TestKeptKeyRetiresFromTheHeal(t *testing.T) {
	start := time.Now()
	ring := hourly.First(1, 1, start)
	for keep, want := range map[bool]time.Duration{true: 13 * time.Hour, false: 5 * time.Hour} {
		d := plan(situation{policy: hourly, keep: keep, now: start.Add(20 * time.Hour), held: held{ring: ring, seen: start, staged: start}})
		if got := d.ring.Info().Keys[1]; got.Role != keyring.Retired || got.Left != want {
			t.Errorf("keep %t: the key that sealed for 20h opens for %v more, want %v", keep, got.Left, want)
		}
	}
}

// TestClientWithoutConnection is the client of an etcd in the same process.
func TestClientWithoutConnection(t *testing.T) {
	r := unconnected(t)
	r.linked(errors.New("out of reach"))
	if r.Status().Problem == "" {
		t.Error("no problem shown")
	}
}
