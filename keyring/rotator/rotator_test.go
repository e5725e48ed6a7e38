package rotator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/stekring/stekring/internal/etcd/memory"
	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/keyring/seal"
)

func TestFleetSharesAndRotates(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fleetOf) {
		nodes := []*node{f.start(), f.start(), f.start()}
		for _, n := range nodes {
			if err := n.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		// Whoever holds version v has as staged what every node seals with at v+1.
		staged, active := map[uint64]string{}, map[uint64]string{}
		for v := uint64(1); v <= 4; v++ {
			for _, n := range nodes {
				s := f.until(n, "rotation", version(v))
				keys := s.Info.Keys
				for m, id := range map[*map[uint64]string]string{&staged: keys[len(keys)-1].ID, &active: keys[0].ID} {
					if was, ok := (*m)[s.Info.Version]; ok && was != id {
						t.Errorf("version %d has keys %s and %s in one role", s.Info.Version, was, id)
					}
					(*m)[s.Info.Version] = id
				}
			}
		}
		for v, id := range staged {
			if next, ok := active[v+1]; ok && next != id {
				t.Errorf("version %d: active %s, want %s, which was staged before", v+1, next, id)
			}
		}
		leaders := 0
		for _, n := range nodes {
			if n.Status().Leader {
				leaders++
			}
		}
		if leaders != 1 {
			t.Errorf("%d leaders, want 1", leaders)
		}
	})
}

func TestFailover(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fleetOf) {
		a := f.start()
		f.until(a, "lead", leads)
		b := f.start()
		s := f.until(b, "ring", version(1))
		a.kill()
		f.until(b, "lead after a death", leads)
		after := f.until(b, "rotation", version(s.Info.Version+2))
		if after.Info.Epoch != 1 {
			t.Errorf("epoch %d after a failover, want 1", after.Info.Epoch)
		}
	})
}

func TestStopResigns(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fleetOf) {
		a := f.start(func(c *rotator.Config) { c.TTL = time.Minute })
		f.until(a, "lead", leads)
		b := f.start(func(c *rotator.Config) { c.TTL = time.Minute })
		f.until(b, "ring", version(1))
		a.stop()
		f.until(b, "lead at once, as the lease is revoked", leads)
	})
}

func (f *fleetOf) ask(q fleet.Request) fleet.Answer {
	f.t.Helper()
	c, l := f.etcd.Client(), fleet.NewLayout("", "test")
	b, _ := json.Marshal(q)
	lease, err := c.Grant(f.t.Context(), 60)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := c.Put(f.t.Context(), l.Request("r1"), string(b), clientv3.WithLease(lease.ID)); err != nil {
		f.t.Fatal(err)
	}
	defer c.Delete(context.Background(), l.Request("r1"))
	for {
		s, err := fleet.Read(f.t.Context(), c, l)
		if err != nil {
			f.t.Fatal(err)
		}
		if len(s.Requests) == 1 && s.Requests[0].Answer != nil {
			return *s.Requests[0].Answer
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func slow(c *rotator.Config) {
	c.Policy = keyring.Policy{Interval: time.Hour, TicketLifetime: time.Hour}
}

func TestRequests(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fleetOf) {
		n := f.start(slow)
		f.until(n, "ring", version(1))
		if a := f.ask(fleet.Request{Op: fleet.Rotate}); a.Refused == "" || a.Version != 0 {
			t.Errorf("rotate with a staged key nobody may have yet: %+v, want a refusal", a)
		}
		before := n.Ring()
		if a := f.ask(fleet.Request{Op: fleet.Revoke, Reason: "test"}); a.Refused != "" || a.Epoch != 2 || a.Version != 2 {
			t.Errorf("revoke: %+v, want epoch 2 version 2", a)
		}
		f.until(n, "revoked ring", version(2))
		old := map[[32]byte]bool{}
		for _, k := range before.TicketKeys("") {
			old[k] = true
		}
		for _, k := range n.Ring().TicketKeys("") {
			if old[k] {
				t.Error("a key of before the revoke is still in use")
			}
		}
		if a := f.ask(fleet.Request{Op: "explode"}); a.Refused == "" {
			t.Error("an unknown operation was not refused")
		}
	})
}

func TestOutage(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fleetOf) {
		p := keyring.Policy{Interval: time.Second, TicketLifetime: time.Second}
		n := f.start(func(c *rotator.Config) { c.Policy = p })
		keep := f.start(func(c *rotator.Config) { c.Policy, c.Outage = p, rotator.Keep })
		f.until(keep, "ring", version(1))
		s := f.until(n, "ring", version(2))
		if s.Local {
			t.Error("seals with an own key beside a fresh ring")
		}
		f.etcd.Down()
		f.until(n, "an own key past the bound", func(s rotator.Status) bool { return s.Local })
		if s := keep.Status(); s.Local {
			t.Error("outage: keep seals with an own key")
		}
		own := n.Status().Sealing
		f.etcd.Up()
		healed := f.until(n, "the fleet's ring again", func(s rotator.Status) bool { return !s.Local })
		found := false
		for _, k := range n.Ring().Info().Keys[1:] {
			found = found || k.ID == own
		}
		if !found && time.Since(healed.Applied) < time.Second {
			t.Error("tickets of the outage no longer open right after it")
		}
	})
}

func TestStartWithoutEtcd(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fleetOf) {
		f.etcd.Down()
		n := f.start()
		if n.Ring() == nil || len(n.Ring().TicketKeys("")) == 0 {
			t.Fatal("no keys without etcd")
		}
		time.Sleep(500 * time.Millisecond) // let it try, and fail
		f.etcd.Up()
		f.until(n, "ring once etcd is there", version(1))
	})
}

func TestForeignKEKNeitherWritesNorStands(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fleetOf) {
		a := f.start(slow)
		f.until(a, "ring", version(1))
		b := f.start(slow, func(c *rotator.Config) { c.KEK = seal.NewKEK() })
		f.until(b, "refusal", func(s rotator.Status) bool { return s.Problem != "" })
		a.stop()
		time.Sleep(2 * time.Second)
		if s := b.Status(); s.Leader || s.Info.Version != 0 {
			t.Errorf("a node without the KEK leads or holds a ring: %+v", s)
		}
		c := f.start(slow)
		f.until(c, "ring", version(1))
	})
}

// TestReportsWithoutLease is somebody who writes to etcd and hopes to stop
// rotation for good: nobody stands behind what has no lease.
func TestReportsWithoutLease(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fleetOf) {
		c, l := f.etcd.Client(), fleet.NewLayout("", "test")
		brag, _ := json.Marshal(fleet.Node{ID: "zz", Epoch: 9, Version: 99})
		if _, err := c.Put(t.Context(), l.Node("zz"), string(brag)); err != nil {
			t.Fatal(err)
		}
		for i := range 70 {
			stale := fmt.Sprintf(`{"op":"revoke","answer":{"version":%d}}`, i)
			if _, err := c.Put(t.Context(), l.Request(fmt.Sprint("old", i)), stale); err != nil {
				t.Fatal(err)
			}
		}
		n := f.start()
		f.until(n, "rotation", version(3))
	})
}

// TestDeletedReportComesBack keeps a node in sight of those who wait for it.
func TestDeletedReportComesBack(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fleetOf) {
		c, l := f.etcd.Client(), fleet.NewLayout("", "test")
		n := f.start(func(c *rotator.Config) {
			c.Policy = keyring.Policy{Interval: 4 * time.Second, TicketLifetime: time.Minute}
		})
		f.until(n, "ring", version(1))
		reported := func() bool {
			s, err := fleet.Read(t.Context(), c, l)
			return err == nil && len(s.Nodes) == 1
		}
		f.until(n, "report", func(rotator.Status) bool { return reported() })
		if _, err := c.Delete(t.Context(), l.Node("n1")); err != nil {
			t.Fatal(err)
		}
		f.until(n, "report again", func(rotator.Status) bool { return reported() })
	})
}

// TestReplayIsNoNews is a node that is cut off, while the ring is rotated. Its
// watch then brings all that it missed at once, which is not to count from then.
func TestReplayIsNoNews(t *testing.T) {
	inMemory(t, func(t *testing.T, f *fleetOf) {
		hourly := withPolicy(keyring.DefaultPolicy)
		away, there := f.start(hourly), f.start(hourly)
		f.agree([]*node{away, there}, 1)
		etcd := f.etcd.(*memory.Etcd)
		etcd.Cut(away.client)
		f.until(there, "three rotations", version(4))
		time.Sleep(20 * time.Minute)
		etcd.Mend(away.client)
		s := f.until(away, "the ring that it missed", version(4))
		if late := s.Seen.Sub(s.Info.Rotated); late != 0 {
			t.Errorf("its durations count from %v after it was written, want from then", late)
		}
	})
}

// TestReplayedRing is somebody who writes to etcd, has no KEK, and puts a record
// of the day before while nothing else is there that this node could know by.
func TestReplayedRing(t *testing.T) {
	for _, instead := range []string{"a foreign KEK", "nothing"} {
		t.Run(instead, func(t *testing.T) {
			inMemory(t, func(t *testing.T, f *fleetOf) {
				n := f.start(slow)
				f.until(n, "ring", version(1))
				old, rec := f.stored()
				f.until(n, "that its keys have had their time", version(20))
				n.stop()
				hide := f.remove
				if instead != "nothing" {
					hide = func() { f.put(newFleet(t, f.etcd).seal(old)) }
				}
				hide()
				x := f.start(slow, func(c *rotator.Config) { c.Observer = true })
				time.Sleep(time.Minute)
				f.put(string(rec))
				hide()
				time.Sleep(time.Minute)
				have := x.Ring().TicketKeys("")
				for _, k := range old.TicketKeys("") {
					if slices.Contains(have, k) {
						t.Fatal("a key that was dropped the day before is in use")
					}
				}
			})
		})
	}
}

// TestTwoNodesOfOneID are hard to tell apart, but for themselves.
func TestTwoNodesOfOneID(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fleetOf) {
		core, logs := observer.New(zap.ErrorLevel)
		same := func(c *rotator.Config) {
			c.ID, c.Log, c.Policy = "twin", zap.New(core), keyring.Policy{Interval: 4 * time.Second, TicketLifetime: time.Minute}
		}
		n := f.start(same)
		f.until(n, "ring, and reports of it", version(3))
		if logs.Len() > 0 {
			t.Errorf("a node alone says %v", logs.All())
		}
		f.start(same)
		f.until(n, "a word of the other", func(rotator.Status) bool { return logs.FilterMessageSnippet("same id").Len() > 0 })
	})
}

func TestNewRefuses(t *testing.T) {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	good := rotator.Config{Client: c, Ring: "www", KEK: seal.NewKEK()}
	for name, change := range map[string]func(*rotator.Config){
		"no client": func(c *rotator.Config) { c.Client = nil },
		"no KEK":    func(c *rotator.Config) { c.KEK = nil },
		"no ring":   func(c *rotator.Config) { c.Ring = "" },
		"ring ..":   func(c *rotator.Config) { c.Ring = ".." },
		"ring /":    func(c *rotator.Config) { c.Ring = "a/b" },
		"id":        func(c *rotator.Config) { c.ID = "a b" },
		"prefix":    func(c *rotator.Config) { c.Prefix = "x" },
		"outage":    func(c *rotator.Config) { c.Outage = "kepp" },
		"ttl":       func(c *rotator.Config) { c.TTL = time.Millisecond },
		"interval":  func(c *rotator.Config) { c.Policy = keyring.Policy{Interval: 1, TicketLifetime: 1} },
		"ring large": func(c *rotator.Config) {
			c.Policy = keyring.Policy{Interval: time.Hour, TicketLifetime: 100 * time.Hour}
		},
	} {
		cfg := good
		change(&cfg)
		if _, err := rotator.New(cfg); err == nil {
			t.Errorf("%s: New took it", name)
		}
	}
	if _, err := rotator.New(good); err != nil {
		t.Error(err)
	}
}
