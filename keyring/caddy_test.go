package keyring

import (
	"bytes"
	"encoding/gob"
	"os"
	"strings"
	"testing"
	"time"
)

// steks is the record of Caddy's module.
type steks struct {
	Keys                       [][KeySize]byte
	LastRotation, NextRotation time.Time
}

// madeByCaddy is what Caddy's own module wrote; integration/caddy has it do so.
func madeByCaddy(t testing.TB) (b []byte, s steks) {
	t.Helper()
	b, err := os.ReadFile("testdata/caddy-test-keys.stek.bin")
	if err != nil {
		t.Fatal(err)
	}
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&s); err != nil {
		t.Fatal(err)
	}
	if len(s.Keys) != 4 || s.NextRotation.Sub(s.LastRotation) != time.Second {
		t.Fatalf("the fixture has %d keys and the interval %v, want 4 and 1s", len(s.Keys), s.NextRotation.Sub(s.LastRotation))
	}
	return b, s
}

// TestImport takes over a record of Caddy's, sooner and later.
func TestImport(t *testing.T) {
	b, caddy := madeByCaddy(t)
	for _, c := range []struct {
		name    string
		policy  Policy
		after   time.Duration
		want    string // indexes of Caddy's keys in their order, + for fresh ones
		refused string
	}{
		{"at once", hourly, 0, "0123+", ""},
		{"after an hour", hourly, time.Hour, "0123+", ""},
		{"its clock ahead", hourly, -time.Hour, "0123+", ""},
		{"the oldest has had its time", hourly, 13*time.Hour - 2*time.Second, "+012+", ""},
		{"just before the bound", hourly, 12*time.Hour - 1, "0123+", ""},
		{"past the bound", hourly, 12 * time.Hour, "+0123+", ""},
		{"only the newest is left", hourly, 13 * time.Hour, "+0+", ""},
		{"just before the end", hourly, 25*time.Hour - 1, "+0+", ""},
		{"none is left", hourly, 25 * time.Hour, "", "have all had their time"},
		{"on request only", onorder, 25 * time.Hour, "0+", ""},
	} {
		now := caddy.LastRotation.Add(c.after)
		r, err := c.policy.Import(b, now)
		if err != nil || c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) || c.refused == "" {
				t.Errorf("%s: Import = %v, %v, want an error with %q", c.name, r, err, c.refused)
			}
			continue
		}
		got := ""
		for _, k := range r.TicketKeys("") {
			at := "+"
			for i := range caddy.Keys {
				if caddy.Keys[i] == k {
					at = string(rune('0' + i))
				}
			}
			got += at
		}
		if got != c.want {
			t.Errorf("%s: Import has Caddy's keys %s, want %s", c.name, got, c.want)
		}
		if i := r.Info(); i.Epoch != 1 || i.Version != 1 || i.Policy != c.policy {
			t.Errorf("%s: Import = %v, want epoch 1 version 1 of the policy", c.name, r)
		}
		reread(t, r)
	}
}

// TestImportAges is how long the keys go on: as if this ring had always been.
func TestImportAges(t *testing.T) {
	b, caddy := madeByCaddy(t)
	now := caddy.LastRotation.Add(time.Hour)
	r, err := hourly.Import(b, now)
	if err != nil {
		t.Fatal(err)
	}
	keys := r.Info().Keys
	if keys[0].Sealed != time.Hour || !hourly.Due(r, now, now).Equal(now) {
		t.Errorf("the active key has sealed for %v and is due %v later, want 1h and now", keys[0].Sealed, hourly.Due(r, now, now).Sub(now))
	}
	for i, k := range keys[1 : len(keys)-1] {
		if want := 12*time.Hour - time.Duration(i)*time.Second; k.Left != want {
			t.Errorf("retired key %d opens for %v more, want %v", i+1, k.Left, want)
		}
	}
}

func TestImportRefuses(t *testing.T) {
	now := base
	good := steks{[][KeySize]byte{testKey(0), testKey(1)}, base, base.Add(time.Hour)}
	with := func(change func(*steks)) []byte {
		s := good
		change(&s)
		return encode(t, s)
	}
	many := make([][KeySize]byte, MaxKeys-1)
	for i := range many {
		many[i] = testKey(i)
	}
	for name, c := range map[string]struct {
		record []byte
		want   string
	}{
		"a record of ours": {encode(t, knownRecord()), "of this program"},
		"no keys":          {with(func(s *steks) { s.Keys = nil }), "without keys"},
		"too many keys":    {with(func(s *steks) { s.Keys = many }), "31 keys: must be at most 30"},
		"a zero key":       {with(func(s *steks) { s.Keys = make([][KeySize]byte, 1) }), "is constant"},
		"a key twice":      {with(func(s *steks) { s.Keys = [][KeySize]byte{testKey(0), testKey(0)} }), "repeats another"},
		"no stamps":        {with(func(s *steks) { s.LastRotation = time.Time{} }), "1970"},
		"not a gob":        {[]byte("-----BEGIN"), "malformed"},
		"nothing":          {nil, "malformed"},
		"too long":         {make([]byte, MaxRecord+1), "must be at most 65536"},
	} {
		if r, err := hourly.Import(c.record, now); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Import = %v, %v, want an error with %q", name, r, err, c.want)
		}
	}
	if _, err := hourly.Import(encode(t, good), now); err != nil {
		t.Error(err)
	}
}
