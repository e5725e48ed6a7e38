package rotator_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
)

// brisk rotates every two seconds, so that P is half a second.
var brisk = keyring.Policy{Interval: 2 * time.Second, TicketLifetime: 36 * time.Second}

func withPolicy(p keyring.Policy) func(*rotator.Config) {
	return func(c *rotator.Config) { c.Policy = p }
}

// damage is what may become of the ring in etcd. The record is the one of five
// versions before, the ring is the newest.
type damage func(f *fleetOf, restore func(), record []byte, ring *keyring.Ring)

var ringKey = fleet.NewLayout("", "test").Ring()

func (f *fleetOf) put(record string) {
	f.t.Helper()
	if _, err := f.etcd.Client().Put(f.t.Context(), ringKey, record); err != nil {
		f.t.Fatal(err)
	}
}

// stored returns the ring in etcd, if this fleet can open it, and its record,
// which is nil if there is none.
func (f *fleetOf) stored() (*keyring.Ring, []byte) {
	f.t.Helper()
	resp, err := f.etcd.Client().Get(f.t.Context(), ringKey)
	if err != nil {
		f.t.Fatal(err)
	}
	if len(resp.Kvs) == 0 {
		return nil, nil
	}
	r, _ := f.kek.Open(ringKey, resp.Kvs[0].Value)
	return r, resp.Kvs[0].Value
}

func (f *fleetOf) seal(r *keyring.Ring) string {
	f.t.Helper()
	rec, err := f.kek.Seal(ringKey, r)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(rec)
}

func (f *fleetOf) remove() {
	f.t.Helper()
	if _, err := f.etcd.Client().Delete(f.t.Context(), ringKey); err != nil {
		f.t.Fatal(err)
	}
}

// TestRollback is whatever can become of the ring in etcd while nodes hold it:
// they go on with what they have, and the newest is written again as a version
// above all that ever was.
func TestRollback(t *testing.T) {
	for name, c := range map[string]struct {
		damage   damage
		newcomer bool // a node without memory starts meanwhile
		foreign  bool // what is there then is not for these nodes to write over
	}{
		"deleted": {damage: func(f *fleetOf, _ func(), _ []byte, _ *keyring.Ring) { f.remove() }},
		"garbage": {damage: func(f *fleetOf, _ func(), _ []byte, _ *keyring.Ring) { f.put("garbage") }},
		"forged": {damage: func(f *fleetOf, _ func(), _ []byte, r *keyring.Ring) {
			rec := []byte(f.seal(r))
			rec[len(rec)-1] ^= 1
			f.put(string(rec))
		}},
		"an older ring": {damage: func(f *fleetOf, _ func(), rec []byte, _ *keyring.Ring) { f.put(string(rec)) }},
		"another ring of its version": {damage: func(f *fleetOf, _ func(), _ []byte, r *keyring.Ring) {
			f.put(f.seal(brisk.First(1, r.Info().Version, time.Now())))
		}},
		"another record of its version": {damage: func(f *fleetOf, _ func(), _ []byte, r *keyring.Ring) { f.put(f.seal(r)) }},
		"a snapshot restored": {damage: func(f *fleetOf, restore func(), _ []byte, _ *keyring.Ring) {
			f.etcd.Down()
			restore()
			f.etcd.Up()
		}},
		"wiped":                 {damage: func(f *fleetOf, _ func(), _ []byte, _ *keyring.Ring) { f.etcd.Wipe(); f.etcd.Up() }},
		"wiped, and a newcomer": {newcomer: true, damage: func(f *fleetOf, _ func(), _ []byte, _ *keyring.Ring) { f.etcd.Wipe() }},
		"a foreign KEK": {foreign: true, damage: func(f *fleetOf, _ func(), _ []byte, r *keyring.Ring) {
			f.put(newFleet(f.t, f.etcd).seal(r))
		}},
		"a later format": {foreign: true, damage: func(f *fleetOf, _ func(), rec []byte, _ *keyring.Ring) {
			rec[len("STEKRING")]++
			f.put(string(rec))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, f *fleetOf) {
				nodes := []*node{f.start(withPolicy(brisk)), f.start(withPolicy(brisk)), f.start(withPolicy(brisk))}
				f.agree(nodes, 2)
				restore := f.etcd.Save()
				_, record := f.stored()
				stop := f.traffic(brisk, nodes...) // with tickets of before the damage, too
				f.agree(nodes, nodes[0].Status().Info.Version+5)

				newest, _ := f.stored()
				highest := newest.Info().Version
				c.damage(f, restore, record, newest)
				if c.newcomer {
					nodes = append(nodes, f.start(withPolicy(brisk)))
					f.etcd.Up()
				}
				if c.foreign {
					f.untouched(nodes)
					f.remove() // as an operator does who knows that these nodes are right
				}
				start := time.Now()
				after := f.agree(nodes, highest+1)
				took := time.Since(start)
				if after.Epoch != 1 {
					t.Errorf("epoch %d, want 1", after.Epoch)
				}
				t.Logf("%d nodes agree on version %d, after %d, %.2fs later", len(nodes), after.Version, highest, took.Seconds())
				if inBubble() && took > brisk.Interval/4+5*time.Second {
					t.Errorf("agreed after %v, want P + 5s", took)
				}
				f.agree(nodes, after.Version+2)
				stop()
			})
		})
	}
}

// agree waits until all nodes seal with one ring of at least that version.
func (f *fleetOf) agree(nodes []*node, version uint64) (i keyring.Info) {
	f.t.Helper()
	for _, n := range nodes {
		f.until(n, fmt.Sprint("one ring of version ", version, " or more"), func(s rotator.Status) bool {
			i = nodes[0].Status().Info
			return !s.Local && s.Problem == "" && s.Info.Version >= version && s.Info.Version == i.Version && s.Info.Keys[0].ID == i.Keys[0].ID
		})
	}
	return i
}

// untouched checks that nodes leave what they cannot read, do not stand over it,
// and go on with the ring that they have.
func (f *fleetOf) untouched(nodes []*node) {
	f.t.Helper()
	_, before := f.stored()
	held := map[*node]uint64{}
	for _, n := range nodes {
		held[n] = f.until(n, "what is wrong", func(s rotator.Status) bool { return s.Problem != "" && !s.Leader }).Info.Version
	}
	time.Sleep(3 * time.Second) // longer than any of them would take to write
	for _, n := range nodes {
		if s := n.Status(); s.Leader || s.Info.Version != held[n] || s.Local {
			f.t.Errorf("%s: %+v, want it to follow version %d and not to lead", s.ID, s, held[n])
		}
	}
	if _, after := f.stored(); string(after) != string(before) {
		f.t.Error("something was written over a record that none of these nodes can read")
	}
}
