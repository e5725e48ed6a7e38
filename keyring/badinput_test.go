package keyring

import (
	"slices"
	"strings"
	"testing"
)

// TestBadInput is the list of what an authentic record must not be. Flaws are
// refused on write too, by TestRefusals, and hostile gobs at little cost, by
// TestHostile.
// Rows have one numbering in all packages: C is configuration, V a ring's value
// in etcd, K what is typed, A what HTTP is asked, E what etcd answers.
func TestBadInput(t *testing.T) {
	for _, row := range []struct {
		name   string
		flaws  []string          // by their names
		others map[string][]byte // what is wrong, and the record
		want   string            // part of the error about others
		skip   string
	}{
		{name: "V10 version out of range", flaws: []string{"version 0", "version 2^63", "version 2^64-1", "epoch 0", "epoch 2^64-1"}},
		{name: "V12 no keys", flaws: []string{"no key"}, others: map[string][]byte{"nothing but a stamp": encode(t, extra[string]{"", base})}, want: "without keys"},
		{name: "V13 too many keys", flaws: []string{"33 keys", "too many keys planned"}, others: named(t, "2^20 keys", "2^63 keys", "2^20 ids"), want: "a malformed record: "},
		{name: "V14 no staged key", flaws: []string{"one key"}},
		{name: "V14 no active key, or two", skip: "by design: roles are not stored, the first key is the active one"},
		{name: "V15 key or id that is weak or there twice", flaws: []string{
			"a zero key", "a constant key", "a duplicate key", "a duplicate id", "an empty id", "an endless id", "an id of two lines",
		}},
		{name: "V16 key that was destroyed", skip: "not built: there are no tombstones; a ring older than the one held is V8"},
		{name: "V17 stamps out of range", flaws: []string{
			"rotated never", "rotated in 1969", "rotated in 10000", "rotated at the end of time", "created in 1969", "created in 10000", "activated before time",
		}},
		{name: "V17 key activated before it was created", skip: "by design: both stamps are for people, nothing is decided by them"},
		{name: "V17 ages out of range", flaws: []string{"a negative age", "an endless age", "a negative life", "an endless life", "a life that is over"}},
		{name: "V19 bytes after the record", others: map[string][]byte{
			"1 zero": append(encode(t, knownRecord()), 0), "16 zeros": append(encode(t, knownRecord()), make([]byte, 16)...),
		}, want: "bytes follow the record"},
		{name: "V19 unknown fields", others: map[string][]byte{
			"a string": encode(t, extra[string]{"x", base}), "numbers": encode(t, extra[[]int]{[]int{1, 2}, base}),
		}, want: "without keys"}, // they are skipped, and the rest is held to the rules
		{name: "V20 map bomb", others: named(t, "a map bomb", "a map bomb of structs", "a map for keys", "structs for keys"), want: "a malformed record: "},
		{name: "V20 nested types", others: named(t, "slices without end", "a record in an any", "keys of slices"), want: "keyring: "},
		{name: "V20 a declared 1 GB", others: named(t, "a message of 1 GB", "a time of 1 GB", "an id of 1 GB"), want: "a malformed record: "},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.skip != "" {
				t.Skip(row.skip)
			}
			for _, name := range row.flaws {
				i := slices.IndexFunc(flaws, func(f flaw) bool { return f.name == name })
				if i < 0 {
					t.Fatalf("no flaw %q", name)
				}
				rec := knownRecord()
				flaws[i].do(&rec)
				refused(t, name, encode(t, rec), flaws[i].want)
			}
			for name, b := range row.others {
				refused(t, name, b, row.want)
			}
		})
	}
}

// named returns the hostile gobs of those names.
func named(t *testing.T, names ...string) map[string][]byte {
	t.Helper()
	all, some := hostiles(t), map[string][]byte{}
	for _, name := range names {
		if some[name] = all[name]; some[name] == nil {
			t.Fatalf("no hostile gob %q", name)
		}
	}
	return some
}

func refused(t *testing.T, what string, b []byte, want string) {
	t.Helper()
	r, err := Parse(b)
	switch {
	case r != nil || err == nil:
		t.Errorf("%s: Parse = %v, %v, want it refused", what, r, err)
	case !strings.HasPrefix(err.Error(), "keyring: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "TEST KEY"):
		t.Errorf("%s: Parse = %v, want %q and no key", what, err, want)
	}
}
