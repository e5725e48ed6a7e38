package keyring

import (
	"bytes"
	"encoding/gob"
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden record anew")

// caddyRecord is the record of Caddy's distributed session ticket module.
type caddyRecord struct {
	Keys                       [][KeySize]byte
	LastRotation, NextRotation time.Time
}

// golden is only ever read: the bytes of a gob are not canonical, and what
// version 1 wrote must be read for ever.
func golden(t testing.TB) []byte {
	const file = "testdata/record-v1.gob"
	if *update {
		b, err := unchecked(knownRecord()).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGolden(t *testing.T) {
	r, err := Parse(golden(t))
	if err != nil {
		t.Fatal(err)
	}
	at := func(h int) time.Time { return base.Add(time.Duration(h) * time.Hour) }
	want := Info{Epoch: 2, Version: 7, Rotated: base, Policy: hourly, Keys: []Key{
		{ID: "key-0", Role: Active, Created: at(-1), Activated: base},
		{ID: "key-1", Role: Retired, Created: at(-2), Activated: at(-1), Left: 13 * time.Hour},
		{ID: "key-2", Role: Retired, Created: at(-3), Activated: at(-2), Left: 12 * time.Hour},
		{ID: "key-3", Role: Staged, Created: base},
	}}
	if got := r.Info(); !reflect.DeepEqual(got, want) {
		t.Errorf("Parse(golden) = %+v, want %+v", got, want)
	}
	if got, want := r.TicketKeys(""), knownRecord().Keys; !slices.Equal(got, want) {
		t.Errorf("Parse(golden) has keys %q, want %q", got, want)
	}
}

// TestCaddyReads has Caddy's module read what Marshal writes.
func TestCaddyReads(t *testing.T) {
	written, err := unchecked(knownRecord()).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"golden": golden(t), "Marshal": written} {
		var got caddyRecord
		if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if want := knownRecord().Keys; !slices.Equal(got.Keys, want) {
			t.Errorf("%s: Caddy reads keys %q, want %q", name, got.Keys, want)
		}
		if !got.LastRotation.Equal(base) || !got.NextRotation.Equal(base.Add(time.Hour)) {
			t.Errorf("%s: Caddy reads rotations at %s and %s, want base and an hour on", name, got.LastRotation, got.NextRotation)
		}
	}
}

// TestCaddyWrote refuses Caddy's record, which says too little of its keys.
func TestCaddyWrote(t *testing.T) {
	rec := knownRecord()
	r, err := Parse(encode(t, caddyRecord{rec.Keys, rec.LastRotation, rec.NextRotation}))
	if err == nil || !strings.Contains(err.Error(), "a record of 4 keys without ids") {
		t.Errorf("Parse(Caddy's record) = %v, %v, want it refused for want of ids", r, err)
	}
}

// TestFlat keeps out of the record all that makes a hostile gob costly: maps,
// interfaces, pointers and structs below the first.
func TestFlat(t *testing.T) {
	scalar := func(k reflect.Kind) bool {
		return k == reflect.Bool || k == reflect.String || k >= reflect.Int && k <= reflect.Uint64
	}
	for f := range reflect.TypeFor[record]().Fields() {
		typ := f.Type
		if typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ == reflect.TypeFor[[KeySize]byte]() || typ == reflect.TypeFor[time.Time]() || scalar(typ.Kind()) {
			continue
		}
		t.Errorf("record.%s is a %v, want a scalar, a time or a slice of scalars or keys", f.Name, f.Type)
	}
	ours, theirs := reflect.TypeFor[record](), reflect.TypeFor[caddyRecord]()
	for i := range theirs.NumField() {
		if a, b := ours.Field(i), theirs.Field(i); a.Name != b.Name || a.Type != b.Type {
			t.Errorf("field %d is %s %v, want %s %v as Caddy has it", i, a.Name, a.Type, b.Name, b.Type)
		}
	}
}
