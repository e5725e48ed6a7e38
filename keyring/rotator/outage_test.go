package rotator_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
)

// TestOutageMissesAreTheModels cuts a fleet off from etcd for 30 hours, far past
// the bound at which nodes seal with keys of their own, and heals it. A client
// visits at random all the while, with tickets of all ages and by real
// handshakes. A ticket under the fleet's key must open everywhere, one under an
// own key at its node, neither for much longer than its key lives, and nowhere
// else: so no miss is unexpected, and no hit either. With outage: keep there is
// no miss at all.
func TestOutageMissesAreTheModels(t *testing.T) {
	t.Parallel()
	for _, outage := range []rotator.Outage{rotator.Local, rotator.Keep} {
		t.Run(string(outage), func(t *testing.T) {
			inMemory(t, func(t *testing.T, f *fleetOf) { misses(t, f, outage) })
		})
	}
}

func misses(t *testing.T, f *fleetOf, outage rotator.Outage) {
	p := keyring.DefaultPolicy
	change := func(c *rotator.Config) { c.Policy, c.Outage = p, outage }
	nodes := []*node{f.start(change), f.start(change), f.start(change)}
	f.agree(nodes, 1)
	v := newVisitors(t)
	var had []*ticket
	hits, closed := 0, 0
	between := func(hours time.Duration) (fresh, missed int) {
		for end := time.Now().Add(hours * time.Hour); time.Now().Before(end); time.Sleep(3 * time.Minute) {
			n := nodes[rand.IntN(len(nodes))]
			var with *ticket
			if len(had) > 0 {
				with = had[rand.IntN(len(had))]
			}
			resumed, got := v.visit(n, with)
			if had = append(had, got); len(had) > 400 {
				had = had[1:]
			}
			if with == nil {
				continue
			}
			opens := with.from == n || !with.local
			age := time.Since(with.at)
			// An hour after it was given, at the latest, its key seals no more; in
			// an outage, up to the bound later.
			dead := with.at.Add(p.Interval + p.Retirement())
			if !with.local {
				dead = dead.Add(p.TicketLifetime)
			}
			switch {
			case opens && age < p.TicketLifetime && !resumed:
				t.Errorf("missed unexpectedly: local %t, after %v", with.local, age)
			case !opens && resumed, time.Now().After(dead) && resumed:
				t.Errorf("resumed unexpectedly: local %t, after %v", with.local, age)
			}
			if resumed {
				hits++
			}
			if age < p.TicketLifetime {
				fresh++
				if !resumed {
					missed++
				}
			}
			if !opens {
				closed++
			}
		}
		return fresh, missed
	}
	report := func(when string, fresh, missed int) {
		t.Logf("%s: %d of %d tickets missed, %.2f", when, missed, fresh, float64(missed)/float64(max(1, fresh)))
	}

	fresh, missed := between(4)
	report("before", fresh, missed)
	if missed > 0 {
		t.Error("misses with etcd there")
	}
	f.etcd.Down()
	fresh, missed = between(11)
	report("within the bound", fresh, missed)
	if missed > 0 {
		t.Error("misses within the bound")
	}
	fresh, missed = between(19)
	report("past the bound", fresh, missed)
	if outage == rotator.Local && missed == 0 || outage == rotator.Keep && missed > 0 {
		t.Errorf("%d misses past the bound with outage: %s", missed, outage)
	}
	f.etcd.Up()
	f.agree(nodes, 2)
	fresh, missed = between(13)
	report("healed", fresh, missed)
	fresh, missed = between(3)
	report("13 hours later", fresh, missed)
	if missed > 0 {
		t.Error("misses 13 hours after the outage")
	}
	t.Logf("%d resumed, %d could not by the model", hits, closed)
}
