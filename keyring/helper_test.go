package keyring

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"slices"
	"testing"
	"time"
)

const (
	day  = 24 * time.Hour
	year = 365 * day
)

var (
	// base has no monotonic reading, as the stamps of a record have none.
	base = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

	hourly  = DefaultPolicy
	hasty   = Policy{Interval: time.Second, TicketLifetime: time.Second}
	weekly  = Policy{Interval: 7 * day, TicketLifetime: 7 * day}
	uneven  = Policy{Interval: 10 * time.Minute, TicketLifetime: 205 * time.Minute}
	onorder = Policy{Interval: time.Hour, TicketLifetime: 12 * time.Hour, Manual: true}
)

// testKey returns a key that nobody can mistake for one in use. It is printable,
// so that whatever prints it prints it in the clear.
func testKey(i int) [KeySize]byte {
	return [KeySize]byte([]byte(fmt.Sprintf("%02d TEST KEY of stekring, no use.", i)))
}

// knownRecord is the record of a ring with two retired keys, all of it known.
func knownRecord() record {
	hours := func(h int) int64 { return base.Add(time.Duration(h) * time.Hour).UnixMilli() }
	return record{
		Keys:         [][KeySize]byte{testKey(0), testKey(1), testKey(2), testKey(3)},
		LastRotation: base, NextRotation: base.Add(time.Hour),
		Version: 7, Epoch: 2, Interval: time.Hour, TicketLifetime: 12 * time.Hour,
		IDs:       []string{"key-0", "key-1", "key-2", "key-3"},
		Life:      []time.Duration{0, 13 * time.Hour, 12 * time.Hour, 0},
		Created:   []int64{hours(-1), hours(-2), hours(-3), hours(0)},
		Activated: []int64{hours(0), hours(-1), hours(-2), 0},
	}
}

// unchecked returns the ring of a record whatever is wrong with it.
func unchecked(rec record) *Ring {
	r := &Ring{info: Info{
		Epoch: rec.Epoch, Version: rec.Version, Rotated: rec.LastRotation,
		Policy: Policy{rec.Interval, rec.TicketLifetime, rec.Manual},
	}}
	last := len(rec.Keys) - 1
	for i := range rec.Keys {
		k := Key{ID: rec.IDs[i], Role: Retired, Left: rec.Life[i], Created: time.UnixMilli(rec.Created[i]).UTC()}
		if rec.Activated[i] != 0 {
			k.Activated = time.UnixMilli(rec.Activated[i]).UTC()
		}
		switch i {
		case 0:
			k.Role, k.Sealed, k.Left = Active, rec.Life[i], 0
		case last:
			k.Role, k.Left = Staged, 0
		}
		r.add(k, keep(&rec.Keys[i]))
	}
	if r.epoch = fresh(); len(rec.EpochSecret) > 0 {
		r.epoch = keep((*[KeySize]byte)(rec.EpochSecret))
	}
	return r
}

// known returns a ring of test keys that was written at base under p, its
// active key having sealed that long, with retired keys that open so long.
func known(p Policy, sealed time.Duration, left ...time.Duration) *Ring {
	r := &Ring{info: Info{Epoch: 1, Version: 1, Rotated: base.Add(-sealed), Policy: p}, epoch: fresh()}
	key := func(role Role) Key {
		return Key{ID: fmt.Sprintf("key-%d", len(r.secret)), Role: role, Created: base, Activated: base}
	}
	add := func(k Key) {
		secret := testKey(len(r.secret))
		r.add(k, keep(&secret))
	}
	active := key(Active)
	active.Sealed = sealed
	add(active)
	for _, l := range left {
		k := key(Retired)
		k.Left = l
		add(k)
	}
	staged := key(Staged)
	staged.Activated = time.Time{}
	add(staged)
	return r
}

// encode returns the gob of any value.
func encode(t testing.TB, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// ids returns the ids of r's keys in their order.
func ids(r *Ring) []string {
	var s []string
	for _, k := range r.Info().Keys {
		s = append(s, k.ID)
	}
	return s
}

// opens reports whether r opens what other seals.
func opens(r, other *Ring) bool {
	return slices.Contains(r.TicketKeys(""), other.TicketKeys("")[0])
}

// offset prints an instant by its distance from base.
func offset(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return "base+" + t.Sub(base).String()
}
