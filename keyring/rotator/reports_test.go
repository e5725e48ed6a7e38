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

// TestNoReports has candidates that lead, rotate and follow, of whom etcd has
// nothing but the ring and, for each, one lease and its place in the election.
func TestNoReports(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fleetOf) {
		silent := func(c *rotator.Config) { c.NoReports = true }
		a := f.start(silent)
		f.until(a, "leads", leads)
		b := f.start(silent)
		f.until(b, "follows rotations", version(3))
		etcd := f.etcd.Client()
		got, err := etcd.Get(t.Context(), layout.Root(), clientv3.WithPrefix())
		if err != nil {
			t.Fatal(err)
		}
		leases := map[int64]bool{}
		for _, kv := range got.Kvs {
			if len(kv.Key) >= len(layout.Nodes()) && string(kv.Key[:len(layout.Nodes())]) == layout.Nodes() {
				t.Errorf("there is a report: %s", kv.Key)
			}
			if kv.Lease != 0 {
				leases[kv.Lease] = true
			}
		}
		if len(leases) != 2 {
			t.Errorf("%d leases, want one for each of two candidates: %v", len(leases), got.Kvs)
		}
	})
}

// TestReportsSpread has a node among a thousand others report a version no
// sooner than it takes all of them, at two thousand a second.
func TestReportsSpread(t *testing.T) {
	for others, least := range map[int]time.Duration{0: 50 * time.Millisecond, 1000: 500 * time.Millisecond} {
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
