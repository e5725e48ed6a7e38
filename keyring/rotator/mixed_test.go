package rotator_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/keyring/seal"
)

// TestMixedPolicies is a fleet in the middle of a change of its configuration:
// whoever leads decides at its next write, and all age the ring by that.
func TestMixedPolicies(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fleetOf) {
		policies := []keyring.Policy{
			{Interval: 2 * time.Second, TicketLifetime: 36 * time.Second},
			{Interval: time.Second, TicketLifetime: 20 * time.Second},
			{Interval: 3 * time.Second, TicketLifetime: 60 * time.Second},
		}
		var nodes []*node
		for _, p := range policies {
			nodes = append(nodes, f.start(withPolicy(p)))
		}
		f.agree(nodes, 1)
		stop := f.traffic(policies[1], nodes...) // the shortest of the promises
		lead := func() (i int) {
			f.until(nodes[0], "a leader", func(rotator.Status) bool {
				i = slices.IndexFunc(nodes, func(n *node) bool { return n.Status().Leader })
				return i >= 0
			})
			return i
		}
		seen := map[keyring.Policy]bool{}
		for len(seen) < len(policies) {
			i := lead()
			f.agree(nodes, nodes[i].Status().Info.Version+1)
			for _, n := range nodes {
				f.until(n, "the leader's policy", func(s rotator.Status) bool { return s.Info.Policy == policies[lead()] })
			}
			seen[policies[i]] = true
			f.depose()
		}
		stop()
	})
}

// TestReconfigureKEK changes the KEK of a running fleet, as the how-to says.
func TestReconfigureKEK(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fleetOf) {
		parse := func(lines ...[]byte) *seal.KEK {
			t.Helper()
			k, err := seal.ParseKEK(slices.Concat(lines...))
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		a, b := f.kek.File(), seal.NewKEK().File()
		nodes := []*node{f.start(withPolicy(brisk)), f.start(withPolicy(brisk)), f.start(withPolicy(brisk))}
		version := f.agree(nodes, 1).Version
		stop := f.traffic(brisk, nodes...)
		all := func(k *seal.KEK) {
			t.Helper()
			for _, n := range nodes {
				if err := n.Reconfigure(k, brisk); err != nil {
					t.Fatal(err)
				}
			}
			version = f.agree(nodes, version+1).Version
		}
		all(parse(a, b))
		all(parse(b, a))
		all(parse(b))
		f.kek = parse(b)
		if r, _ := f.stored(); r == nil {
			t.Error("the ring is not sealed under the new KEK")
		}

		// One that has lost its KEK neither stands nor writes, until it has it again.
		if err := nodes[0].Reconfigure(parse(a), brisk); err != nil {
			t.Fatal(err)
		}
		f.until(nodes[0], "a word of it", func(s rotator.Status) bool { return s.Problem != "" && !s.Leader })
		f.agree(nodes[1:], version+1)
		if err := nodes[0].Reconfigure(parse(b), brisk); err != nil {
			t.Fatal(err)
		}
		f.agree(nodes, version+1)
		stop()
		if nodes[0].Reconfigure(nil, brisk) == nil || nodes[0].Reconfigure(parse(b), keyring.Policy{Interval: 1}) == nil {
			t.Error("Reconfigure took no KEK, or no policy")
		}
		f.agree(nodes, version+2)
	})
}

// TestReconfigurePolicy has a leader rotate sooner without a restart.
func TestReconfigurePolicy(t *testing.T) {
	inMemory(t, func(t *testing.T, f *fleetOf) {
		n := f.start(slow)
		f.until(n, "lead", leads)
		time.Sleep(20 * time.Minute)
		half := keyring.Policy{Interval: 30 * time.Minute, TicketLifetime: time.Hour}
		if err := n.Reconfigure(f.kek, half); err != nil {
			t.Fatal(err)
		}
		s := f.until(n, "a rotation", version(2))
		if age := s.Info.Rotated.Sub(s.Info.Keys[1].Activated); s.Info.Policy != half || age > 31*time.Minute {
			t.Errorf("rotated after %v under %+v, want 30m under the new policy", age, s.Info.Policy)
		}
	})
}
