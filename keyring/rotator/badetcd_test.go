package rotator_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/stekring/stekring/internal/etcd"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring/rotator"
)

// TestBadInputFromEtcd is the list of what etcd may answer.
// Rows have one numbering in all packages: C is configuration, V a ring's value
// in etcd, K what is typed, A what HTTP is asked, E what etcd answers.
func TestBadInputFromEtcd(t *testing.T) {
	for _, row := range []struct {
		name string
		test func(*testing.T)
		skip string
	}{
		{"E1 watch at a compacted revision", compacted, ""},
		{"E2 permission denied", denied, ""},
		{"E3 revision goes back", nil, "shown by: TestRollback"},
		{"E4 no space", noSpace, ""},
		{"E5 unavailable, no answer", nil, "shown by: TestOutage, TestStartWithoutEtcd"},
		{"E5 token of before a restart", tokenLost, ""},
		{"E5 unavailable at the start, with a password", passwordWithoutEtcd, ""},
		{"E5 certificate expired", nil, "shown by: integration TestBadInput/E5"},
		{"E6 outcome of a write unknown", nil, "shown by: TestRingWrites"},
		{"E7 lease longer than asked for", longerLease, ""},
		{"E8 lease gone", leaseGone, ""},
		{"E9 server of a version with known holes", nil, "not built: nobody asks etcd for its version"},
		{"E10 answers of a cache", nil, "by design: every read is linearizable, and no revision that goes back is believed; not built: a proxy to test with"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.skip != "" {
				t.Skip(row.skip)
			}
			t.Parallel()
			row.test(t)
		})
	}
}

func realFleet(t *testing.T) *fleetOf { return newFleet(t, etcdtest.Start(t)) }

// heldWatch has something happen before the first watch begins.
type heldWatch struct {
	clientv3.Watcher
	once   sync.Once
	before func()
}

func (w *heldWatch) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	w.once.Do(w.before)
	return w.Watcher.Watch(ctx, key, opts...)
}

func compacted(t *testing.T) {
	f := realFleet(t)
	f.until(f.start(slow), "ring", version(1))
	core, logs := observer.New(zap.DebugLevel)
	n := f.start(slow, func(c *rotator.Config) {
		c.Observer, c.Log = true, zap.New(core)
		c.Client.Watcher = &heldWatch{Watcher: c.Client.Watcher, before: func() {
			other := f.etcd.Client()
			for range 2 {
				r, err := other.Put(t.Context(), "/something/else", "")
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := other.Compact(t.Context(), r.Header.Revision); err != nil {
					t.Error(err)
				}
			}
		}}
	})
	f.until(n, "ring", version(1))
	f.until(n, "a word of the compaction", func(rotator.Status) bool {
		for _, l := range logs.FilterMessage("watch over").All() {
			if strings.Contains(l.ContextMap()["error"].(string), "compacted") {
				return true
			}
		}
		return false
	})
	f.revoked(n) // which only a watch that works again brings so soon
}

// revoked has n see a revoke.
func (f *fleetOf) revoked(n *node) {
	f.t.Helper()
	a := f.ask(fleet.Request{Op: fleet.Revoke})
	if a.Refused != "" {
		f.t.Fatalf("revoke refused: %s", a.Refused)
	}
	if s := f.until(n, "the next ring", version(a.Version)); s.Problem != "" || s.Local {
		f.t.Errorf("status %+v, want the fleet's ring and no problem", s)
	}
}

func noSpace(t *testing.T) {
	f := realFleet(t)
	core, logs := observer.New(zap.WarnLevel)
	n := f.start(func(c *rotator.Config) { c.Log = zap.New(core) })
	f.until(n, "ring", version(1))
	c := f.etcd.Client()
	members, err := c.MemberList(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id := members.Members[0].ID
	alarm := &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: id, Alarm: pb.AlarmType_NOSPACE}
	if _, err := pb.NewMaintenanceClient(c.ActiveConnection()).Alarm(t.Context(), alarm); err != nil {
		t.Fatal(err)
	}
	f.until(n, "a word of it", func(rotator.Status) bool {
		for _, l := range logs.FilterMessageSnippet("will try again").All() {
			if strings.Contains(l.ContextMap()["error"].(string), "database space exceeded") {
				return true
			}
		}
		return false
	})
	s := f.until(n, "what its leader cannot do", func(s rotator.Status) bool { return strings.Contains(s.Problem, "database space exceeded") })
	if s.Info.Version == 0 || len(n.Ring().TicketKeys("")) == 0 {
		t.Errorf("status %+v, want the last good ring in use", s)
	}
	if _, err := c.AlarmDisarm(t.Context(), &clientv3.AlarmMember{MemberID: id, Alarm: pb.AlarmType_NOSPACE}); err != nil {
		t.Fatal(err)
	}
	f.until(n, "rotation again", version(s.Info.Version+1))
}

// longerLease is an etcd that grants three seconds where two are asked for.
func longerLease(t *testing.T) {
	const tick = 200 * time.Millisecond
	server, err := etcd.Start(t.Context(), t.TempDir(), "127.0.0.1:0", tick, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	c, err := etcd.Dial(etcd.Options{Endpoints: []string{server.Endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	granted, err := c.Grant(t.Context(), 2)
	if err != nil || granted.TTL <= 2 {
		t.Fatalf("lease of %v, %v, want a longer one", granted, err)
	}
	f := realFleet(t)
	n := f.start(func(cfg *rotator.Config) { cfg.Client = c })
	s := f.until(n, "lead", leads)
	if after := f.until(n, "rotation", version(s.Info.Version+3)); after.Term != s.Term {
		t.Errorf("term %d, want %d still", after.Term, s.Term)
	}
}

func leaseGone(t *testing.T) {
	f := realFleet(t)
	n := f.start()
	before := f.until(n, "lead", leads)
	f.endLeases()
	after := f.until(n, "another term", func(s rotator.Status) bool { return s.Leader && s.Term > before.Term })
	f.until(n, "rotation", version(after.Info.Version+1))
}
