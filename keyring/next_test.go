package keyring

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestFirst(t *testing.T) {
	now := base.In(time.FixedZone("", 7200))
	a, b := hourly.First(3, 9, now), hourly.First(3, 9, now)
	i := a.Info()
	if i.Epoch != 3 || i.Version != 9 || i.Rotated != base || i.Policy != hourly || len(i.Keys) != 2 {
		t.Fatalf("First(3, 9, base) = %v, want epoch 3, version 9 and two keys at base", a)
	}
	want := []Key{{Role: Active, Created: base, Activated: base}, {Role: Staged, Created: base}}
	for n, k := range i.Keys {
		if len(k.ID) != 16 {
			t.Errorf("First: id %q, want 16 digits", k.ID)
		}
		if k.ID = ""; k != want[n] {
			t.Errorf("First: key %d = %+v, want %+v", n, k, want[n])
		}
	}
	seen := map[[KeySize]byte]bool{}
	for _, k := range append(a.TicketKeys(""), b.TicketKeys("")...) {
		seen[k] = true
	}
	for _, id := range append(ids(a), ids(b)...) {
		seen[[KeySize]byte([]byte(id+"                "))] = true
	}
	if len(seen) != 8 {
		t.Errorf("two rings have %d different keys and ids, want 8", len(seen))
	}
}

func TestNext(t *testing.T) {
	r := known(hourly, 0, 13*time.Hour, 12*time.Hour, time.Hour)
	seen, now := base.Add(time.Minute), base.Add(61*time.Minute)
	n, err := uneven.Next(r, seen, now)
	if err != nil {
		t.Fatal(err)
	}
	i := n.Info()
	staged := i.Keys[4]
	want := Info{Epoch: 1, Version: 2, Rotated: now, Policy: uneven, Keys: []Key{
		{ID: "key-4", Role: Active, Created: base, Activated: now},
		{ID: "key-0", Role: Retired, Created: base, Activated: base, Left: uneven.Retirement()},
		{ID: "key-1", Role: Retired, Created: base, Activated: base, Left: 12 * time.Hour},
		{ID: "key-2", Role: Retired, Created: base, Activated: base, Left: 11 * time.Hour},
		{ID: staged.ID, Role: Staged, Created: now},
	}}
	if !reflect.DeepEqual(i, want) {
		t.Errorf("Next = %+v, want %+v", i, want)
	}
	keys := n.TicketKeys("")
	if want := [][KeySize]byte{testKey(4), testKey(0), testKey(1), testKey(2), keys[4]}; !slices.Equal(keys, want) {
		t.Errorf("Next keys = %q, want %q", keys, want)
	}
	if before := known(hourly, 0, 13*time.Hour, 12*time.Hour, time.Hour); !reflect.DeepEqual(r.Info(), before.Info()) {
		t.Errorf("the ring is %v after Next, want %v", r, before)
	}
}

// TestNextLate shows what a key that sealed too long has left.
func TestNextLate(t *testing.T) {
	const h = time.Hour
	for _, c := range []struct {
		policy             Policy
		sealed, late, want time.Duration // want 0 is gone
	}{
		{hourly, 0, -h, 13 * h},
		{hourly, 0, 0, 13 * h},
		{hourly, 0, h, 13 * h},
		{hourly, 0, 12 * h, 13 * h},
		{hourly, 0, 12*h + 1, 13*h - 1},
		{hourly, 0, 20 * h, 5 * h},
		{hourly, 0, 25*h - 1, 1},
		{hourly, 0, 25 * h, 0},
		{hourly, 0, year, 0},
		{hourly, 8 * h, 12 * h, 5 * h},
		{hourly, 25 * h, 0, 0},
		{onorder, 0, year, 13 * h},
	} {
		n, err := hourly.Next(known(c.policy, c.sealed), base, base.Add(c.late))
		if err != nil {
			t.Fatal(err)
		}
		var got time.Duration
		if k := n.Info().Keys[1]; k.Role == Retired {
			got = k.Left
		}
		if got != c.want || n.Info().Keys[0].Sealed != 0 {
			t.Errorf("Next of %v sealed %v, %v on: left %v, want %v", c.policy, c.sealed, c.late, got, c.want)
		}
	}
}

func TestAgain(t *testing.T) {
	r := known(hourly, 20*time.Minute, 13*time.Hour, 12*time.Hour, time.Hour)
	seen, now := base.Add(year), base.Add(year+time.Hour)
	got := uneven.Again(r, 42, seen, now)
	want := Info{Epoch: 1, Version: 42, Rotated: now.Add(-80 * time.Minute), Policy: uneven, Keys: []Key{
		{ID: "key-0", Role: Active, Created: base, Activated: base, Sealed: 80 * time.Minute},
		{ID: "key-1", Role: Retired, Created: base, Activated: base, Left: 12 * time.Hour},
		{ID: "key-2", Role: Retired, Created: base, Activated: base, Left: 11 * time.Hour},
		{ID: "key-4", Role: Staged, Created: base},
	}}
	if !reflect.DeepEqual(got.Info(), want) {
		t.Errorf("Again = %+v, want %+v", got.Info(), want)
	}
	if keys, want := got.TicketKeys(""), [][KeySize]byte{testKey(0), testKey(1), testKey(2), testKey(4)}; !slices.Equal(keys, want) {
		t.Errorf("Again keys = %q, want %q", keys, want)
	}
	// Whoever meets it next, now or after a restart, counts on from there.
	for _, later := range []time.Duration{0, 10 * time.Minute} {
		at := now.Add(later)
		if due, want := hourly.Due(got, got.Seen(at), at), now.Add(-20*time.Minute); !due.Equal(want) {
			t.Errorf("Due %v after Again = %s, want %s", later, offset(due), offset(want))
		}
		if stale, want := got.Stale(got.Seen(at)), now.Add(uneven.sealing()-80*time.Minute); !stale.Equal(want) {
			t.Errorf("Stale %v after Again = %s, want %s", later, offset(stale), offset(want))
		}
	}
}
