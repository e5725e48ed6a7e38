package rotator_test

import (
	"testing"
	"time"

	"github.com/stekring/stekring/internal/etcd/memory"
	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/keyring/seal"
)

func silent(c *rotator.Config) { c.NoReports = true }

// reporting waits until the nodes that report are these.
func (f *fleetOf) reporting(nodes ...*node) {
	f.t.Helper()
	etcd := f.etcd.Client()
	f.until(nodes[0], "reports", func(rotator.Status) bool {
		s, err := fleet.Read(f.t.Context(), etcd, fleet.NewLayout("", "test"))
		if err != nil || len(s.Nodes) != len(nodes) {
			return false
		}
		for i, n := range nodes {
			if s.Nodes[i].ID != n.Status().ID || s.Nodes[i].Version == 0 {
				return false
			}
		}
		return true
	})
}

// TestNoReports has nodes of which only those report that have led.
func TestNoReports(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fleetOf) {
		a := f.start(silent)
		f.until(a, "leads", leads)
		b := f.start(silent)
		f.until(b, "follows rotations", version(3))
		f.reporting(a)
		leases, err := f.etcd.Client().Leases(t.Context())
		if err != nil || len(leases.Leases) != 3 {
			t.Errorf("%v, %v; want a lease of each candidate and one of the report", leases, err)
		}
		f.depose()
		f.until(b, "leads", leads)
		f.reporting(a, b)

		c := f.start(silent)
		v := f.until(c, "ring", version(1)).Info.Version
		f.put("garbage") // until the leader has written over it
		f.agree([]*node{a, b, c}, v+2)
		f.reporting(a, b)
	})
}

// TestSilentNodeSaysWhatIsWrong has one without the KEK report that, until it has it.
func TestSilentNodeSaysWhatIsWrong(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fleetOf) {
		a := f.start(silent)
		f.until(a, "leads", leads)
		f.reporting(a)
		b := f.start(silent, func(c *rotator.Config) { c.KEK = seal.NewKEK() })
		etcd := f.etcd.Client()
		problems := func() (n int) {
			s, err := fleet.Read(t.Context(), etcd, fleet.NewLayout("", "test"))
			if err != nil {
				return -1
			}
			for _, r := range s.Nodes {
				if r.Problem != "" {
					n++
				}
			}
			return n
		}
		f.until(b, "reports its problem", func(rotator.Status) bool { return problems() == 1 })
		if err := b.Reconfigure(f.kek, fast); err != nil {
			t.Fatal(err)
		}
		f.reporting(a)
	})
}

// TestSilentFleetRestores has etcd lose all while the one node that has the ring, and
// does not report, is cut off, and one that knows nothing lead. That hears of it
// and leaves the lead.
func TestSilentFleetRestores(t *testing.T) {
	inMemory(t, func(t *testing.T, f *fleetOf) {
		etcd := f.etcd.(*memory.Etcd)
		a := f.start(silent, withPolicy(brisk))
		f.until(a, "leads", leads)
		b := f.start(silent, withPolicy(brisk))
		highest := f.agree([]*node{a, b}, 20).Version
		etcd.Cut(b.client)
		a.kill()
		f.etcd.Wipe()
		f.etcd.Up()
		c := f.start(silent, withPolicy(brisk))
		f.until(c, "leads", leads)
		f.until(c, "a first ring", version(1))
		etcd.Mend(b.client)
		start := time.Now()
		f.agree([]*node{b, c}, highest+1)
		if took := time.Since(start); took > brisk.Interval/4+5*time.Second {
			t.Errorf("agreed after %v", took)
		}
	})
}
