package keyring

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// flaw is something that a ring must not have, in its record.
type flaw struct {
	name string
	do   func(*record)
	want string // part of the error
}

// flaws are refused on write as on read.
var flaws = []flaw{
	{"no key", func(r *record) { cut(r, 0) }, "without keys"},
	{"one key", func(r *record) { cut(r, 1) }, "without a staged key"},
	{"33 keys", func(r *record) { grow(r, 33) }, "a ring of 33 keys: must be at most 32"},
	{"a zero key", func(r *record) { r.Keys[2] = [KeySize]byte{} }, "key key-2 is constant"},
	{"a constant key", func(r *record) { r.Keys[0] = [KeySize]byte([]byte(strings.Repeat("k", KeySize))) }, "key key-0 is constant"},
	{"a duplicate key", func(r *record) { r.Keys[3] = r.Keys[1] }, "key key-3 repeats another"},
	{"a duplicate id", func(r *record) { r.IDs[3] = r.IDs[0] }, "key 3 repeats id key-0"},
	{"an empty id", func(r *record) { r.IDs[1] = "" }, "key 1 has no valid id"},
	{"an endless id", func(r *record) { r.IDs[1] = strings.Repeat("i", 65) }, "key 1 has no valid id"},
	{"an id of two lines", func(r *record) { r.IDs[1] = "a\nb" }, "key 1 has no valid id"},
	{"an id beyond ASCII", func(r *record) { r.IDs[1] = "clé" }, "key 1 has no valid id"},
	{"version 0", func(r *record) { r.Version = 0 }, "version 0: out of range"},
	{"version 2^63", func(r *record) { r.Version = 1 << 63 }, "version 9223372036854775808: out of range"},
	{"version 2^64-1", func(r *record) { r.Version = math.MaxUint64 }, "version 18446744073709551615: out of range"},
	{"epoch 0", func(r *record) { r.Epoch = 0 }, ""}, // a node's own ring on write, out of range on read
	{"epoch 2^64-1", func(r *record) { r.Epoch = math.MaxUint64 }, "epoch 18446744073709551615: out of range"},
	{"no interval", func(r *record) { r.Interval = 0 }, "interval 0s"},
	{"no lifetime", func(r *record) { r.TicketLifetime = 0 }, "ticket lifetime 0s"},
	{"too many keys planned", func(r *record) { r.Interval = time.Second }, "needs a ring of 43203 keys"},
	{"a negative age", func(r *record) { r.Life[0] = -1 }, "key key-0 has an age out of range"},
	{"an endless age", func(r *record) { r.Life[0] = math.MaxInt64 }, "key key-0 has an age out of range"},
	{"a negative life", func(r *record) { r.Life[1] = -1 }, "key key-1 has an age out of range"},
	{"an endless life", func(r *record) { r.Life[1] = 14*day + 1 }, "key key-1 has an age out of range"},
	{"a life that is over", func(r *record) { r.Life[2] = 0 }, "key key-2 has had its time"},
	{"rotated in 10000", func(r *record) { r.LastRotation = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "outside the years 1970 to 9999"},
	{"rotated in 1969", func(r *record) { r.LastRotation = time.Unix(-1, 0).UTC() }, "outside the years"},
	{"rotated never", func(r *record) { r.LastRotation = time.Time{} }, "outside the years"},
	{"rotated at the end of time", func(r *record) { r.LastRotation = time.Unix(math.MaxInt64, 0).UTC() }, "outside the years"},
	{"created in 10000", func(r *record) { r.Created[1] = 253402300800000 }, "outside the years"},
	{"created in 1969", func(r *record) { r.Created[3] = -1 }, "outside the years"},
	{"created at the end of time", func(r *record) { r.Created[0] = math.MaxInt64 }, "outside the years"},
	{"activated in 10000", func(r *record) { r.Activated[0] = 253402300800000 }, "outside the years"},
	{"activated before time", func(r *record) { r.Activated[1] = math.MinInt64 }, "outside the years"},
}

// cut makes a record one of n keys.
func cut(r *record, n int) {
	r.Keys, r.IDs, r.Life, r.Created, r.Activated = r.Keys[:n], r.IDs[:n], r.Life[:n], r.Created[:n], r.Activated[:n]
}

// grow makes a record one of n keys, the staged one copied last.
func grow(r *record, n int) {
	for i := len(r.Keys); i < n; i++ {
		r.Keys = append(r.Keys, testKey(i))
		r.IDs = append(r.IDs, "key-"+strings.Repeat("x", i))
		r.Life = append(r.Life, time.Hour)
		r.Created = append(r.Created, r.Created[0])
		r.Activated = append(r.Activated, r.Activated[0])
	}
	r.Life[3], r.Activated[3] = time.Hour, r.Activated[0]
	r.Life[n-1], r.Activated[n-1] = 0, 0
}

func TestRefusals(t *testing.T) {
	for _, f := range flaws {
		rec := knownRecord()
		f.do(&rec)
		if r, err := Parse(encode(t, rec)); err == nil || !strings.Contains(err.Error(), f.want) {
			t.Errorf("Parse with %s = %v, %v, want %q", f.name, r, err, f.want)
		}
		if b, err := unchecked(rec).Marshal(); err == nil || !strings.Contains(err.Error(), f.want) {
			t.Errorf("Marshal with %s = %d bytes, %v, want %q", f.name, len(b), err, f.want)
		}
	}
}

// TestBounds shows that the flaws are not refused for anything else, and that
// what lies just within the rules passes.
func TestBounds(t *testing.T) {
	for name, do := range map[string]func(*record){
		"nothing":          func(*record) {},
		"two keys":         func(r *record) { cut(r, 2); r.Life[1], r.Activated[1] = 0, 0 },
		"32 keys":          func(r *record) { grow(r, 32) },
		"64 letters":       func(r *record) { r.IDs[0] = strings.Repeat("aZ09.-_x", 8) },
		"version 2^63-1":   func(r *record) { r.Version, r.Epoch = math.MaxInt64, math.MaxInt64 },
		"all but constant": func(r *record) { r.Keys[0] = [KeySize]byte{KeySize - 1: 1} },
		"the longest life": func(r *record) { r.Life[1] = 14 * day },
		"the last stamp":   func(r *record) { r.LastRotation = time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC) },
		"the first stamp":  func(r *record) { r.LastRotation, r.Created[0] = time.Unix(0, 0).UTC(), 0 },
		"a manual policy":  func(r *record) { r.Manual = true },
	} {
		rec := knownRecord()
		do(&rec)
		b, err := unchecked(rec).Marshal()
		if err != nil {
			t.Errorf("Marshal with %s = %v, want a record", name, err)
			continue
		}
		r, err := Parse(b)
		if err != nil {
			t.Errorf("Parse with %s = %v, want a ring", name, err)
		} else if !slices.Equal(r.TicketKeys(""), rec.Keys) || !slices.Equal(ids(r), rec.IDs) {
			t.Errorf("Parse with %s = %v, want the ring that was written", name, r)
		}
		if len(b) > MaxRecord/8 {
			t.Errorf("Marshal with %s = %d bytes, want far fewer than %d", name, len(b), MaxRecord)
		}
	}
}

// TestMismatched has a record that describes more or fewer keys than it holds.
func TestMismatched(t *testing.T) {
	for name, do := range map[string]func(*record){
		"fewer keys":        func(r *record) { r.Keys = r.Keys[:3] },
		"fewer ids":         func(r *record) { r.IDs = r.IDs[:3] },
		"more ids":          func(r *record) { r.IDs = append(r.IDs, "key-4") },
		"no lives":          func(r *record) { r.Life = nil },
		"more lives":        func(r *record) { r.Life = append(r.Life, time.Hour) },
		"fewer creations":   func(r *record) { r.Created = r.Created[:1] },
		"fewer activations": func(r *record) { r.Activated = r.Activated[:2] },
	} {
		rec := knownRecord()
		do(&rec)
		r, err := Parse(encode(t, rec))
		if err == nil || !strings.Contains(err.Error(), "describes another number of them") {
			t.Errorf("Parse with %s = %v, %v, want it refused", name, r, err)
		}
	}
}

// TestDamaged has records that end too soon or too late.
func TestDamaged(t *testing.T) {
	b := encode(t, knownRecord())
	for n := range b {
		if r, err := Parse(b[:n]); err == nil {
			t.Errorf("Parse(%d of %d bytes) = %v, want it refused", n, len(b), r)
		}
	}
	for _, tail := range [][]byte{{0}, {1, 0}, b, []byte("\n")} {
		if r, err := Parse(slices.Concat(b, tail)); err == nil {
			t.Errorf("Parse with %d bytes after the record = %v, want it refused", len(tail), r)
		}
	}
	big := make([]byte, MaxRecord+1)
	copy(big, b)
	if r, err := Parse(big); err == nil || !strings.Contains(err.Error(), "a record of 65537 bytes: must be at most 65536") {
		t.Errorf("Parse of 65537 bytes = %v, %v, want it refused for its size", r, err)
	}
	if r, err := Parse(big[:MaxRecord]); err == nil || strings.Contains(err.Error(), "must be at most") {
		t.Errorf("Parse of 65536 bytes = %v, %v, want it refused for what follows", r, err)
	}
}
