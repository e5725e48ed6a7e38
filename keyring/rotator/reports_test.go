package rotator_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
)

var layout = fleet.NewLayout("", "test")

// TestNoReports has two candidates of which only the one that leads reports, and
// has a lease for that.
func TestNoReports(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fleetOf) {
		silent := func(c *rotator.Config) { c.NoReports = true }
		a := f.start(silent)
		f.until(a, "leads", leads)
		b := f.start(silent)
		f.until(b, "follows rotations", version(3))
		etcd := f.etcd.Client()
		reports := func(leader *node) {
			t.Helper()
			f.until(leader, "alone reports", func(st rotator.Status) bool {
				s, err := fleet.Read(t.Context(), etcd, layout)
				return err == nil && st.Leader && len(s.Nodes) == 1 && s.Nodes[0].ID == st.ID && s.Nodes[0].Leader
			})
		}
		reports(a)
		leases, err := etcd.Leases(t.Context())
		if err != nil || len(leases.Leases) != 3 {
			t.Errorf("%v, %v; want a lease of each candidate and one of the report", leases, err)
		}
		a.stop()
		reports(b)
	})
}

// TestReportsSpread has a node among a thousand others report a version no
// sooner than it takes all of them, at two thousand a second; and in time whatever
// else is there.
func TestReportsSpread(t *testing.T) {
	for others, least := range map[int]time.Duration{0: 50 * time.Millisecond, 1000: 500 * time.Millisecond, 30_000: 5 * time.Second} {
		inMemory(t, func(t *testing.T, f *fleetOf) {
			etcd := f.etcd.Client()
			lease, err := etcd.Grant(t.Context(), 86400)
			if err != nil {
				t.Fatal(err)
			}
			for i := range others {
				if _, err := etcd.Put(t.Context(), layout.Node(fmt.Sprint("other-", i)), "{}", clientv3.WithLease(lease.ID)); err != nil {
					t.Fatal(err)
				}
			}
			n := f.start(func(c *rotator.Config) { c.Policy = keyring.DefaultPolicy })
			f.until(n, "leads", leads)
			time.Sleep(time.Minute) // by then it has counted them
			if _, err := n.Await(t.Context(), n.Ring()); err != nil {
				t.Fatal(err)
			}
			s := n.Status()
			for reported := uint64(0); reported < s.Info.Version; time.Sleep(time.Millisecond) {
				got, err := etcd.Get(t.Context(), layout.Node(s.ID))
				if err != nil || len(got.Kvs) != 1 {
					t.Fatal(got, err)
				}
				var report fleet.Node
				if err := json.Unmarshal(got.Kvs[0].Value, &report); err != nil {
					t.Fatal(err)
				}
				reported = report.Version
			}
			if took := time.Since(s.Applied); took < least || took > 2*least+time.Second {
				t.Errorf("among %d others it reported after %v, want %v to %v", others, took, least, 2*least)
			}
		})
	}
}
