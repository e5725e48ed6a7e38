package keyring

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestTicketKeys(t *testing.T) {
	r := known(hourly, 0, time.Hour)
	if got, want := r.TicketKeys(""), [][KeySize]byte{testKey(0), testKey(1), testKey(2)}; !slices.Equal(got, want) {
		t.Errorf(`TicketKeys("") = %q, want %q`, got, want)
	}
	// Computed by another implementation of RFC 5869: a change of the label or
	// of the derivation would end every ticket of every scope.
	for _, c := range []struct {
		scope string
		key   int
		want  string
	}{
		{"mtls", 0, "02736315284773882d4a84110361fff3336d065ee9c9ff0f4d6f1b067557c799"},
		{"mtls", 1, "e2e699b44e2b7093d71ff8bc471da9fde9430830632946989e02238fe863e0d1"},
		{"a", 0, "8e3f1309a8e5fa47cddd75aad57eb6580747d5191ebe3a17fb53ae085080296d"},
	} {
		if got := fmt.Sprintf("%x", r.TicketKeys(c.scope)[c.key]); got != c.want {
			t.Errorf("TicketKeys(%q)[%d] = %s, want %s", c.scope, c.key, got, c.want)
		}
	}
}

func TestScopesDiffer(t *testing.T) {
	r := known(hourly, 0, time.Hour, 2*time.Hour)
	seen := map[[KeySize]byte]string{}
	for _, scope := range []string{"", "a", "b", "ab", "a\x00", "\x00", "A", "scope/v1"} {
		for i, k := range r.TicketKeys(scope) {
			at := fmt.Sprintf("key %d of scope %q", i, scope)
			if had, ok := seen[k]; ok {
				t.Errorf("%s is %s, want them to differ", at, had)
			}
			seen[k] = at
		}
		if a, b := r.TicketKeys(scope), r.TicketKeys(scope); !slices.Equal(a, b) {
			t.Errorf("TicketKeys(%q) differs from call to call", scope)
		}
	}
}

// TestImmutable shows that what a ring hands out is the caller's to change.
func TestImmutable(t *testing.T) {
	r := known(hourly, 0, time.Hour)
	clear(r.TicketKeys(""))
	clear(r.Info().Keys)
	if got, want := r.TicketKeys("")[0], testKey(0); got != want {
		t.Errorf("key 0 = %q, want %q", got, want)
	}
	if got, want := ids(r), []string{"key-0", "key-1", "key-2"}; !slices.Equal(got, want) {
		t.Errorf("ids = %v, want %v", got, want)
	}
}

func TestJoin(t *testing.T) {
	own, shared := uneven.First(0, 5, base), known(hourly, 0, time.Hour)
	o, s := own.Info(), shared.Info()
	for _, c := range []struct {
		name       string
		seal, open *Ring
		want       Info
	}{
		{"own, shared", own, shared, Info{Epoch: 0, Version: 5, Policy: uneven, Keys: slices.Concat(o.Keys, s.Keys)}},
		{"shared, own", shared, own, Info{Epoch: 1, Version: 1, Policy: hourly, Keys: slices.Concat(s.Keys, o.Keys)}},
	} {
		j := Join(c.seal, c.open)
		c.want.Keys[len(c.seal.info.Keys)].Role = Retired
		i := j.Info()
		if i.Epoch != c.want.Epoch || i.Version != c.want.Version || i.Policy != c.want.Policy || !slices.Equal(i.Keys, c.want.Keys) {
			t.Errorf("Join(%s) = %+v, want %+v", c.name, i, c.want)
		}
		if got, want := j.TicketKeys("s"), slices.Concat(c.seal.TicketKeys("s"), c.open.TicketKeys("s")); !slices.Equal(got, want) {
			t.Errorf("Join(%s) keys differ from those of both", c.name)
		}
		if b, err := j.Marshal(); err == nil {
			t.Errorf("Join(%s).Marshal() = %d bytes, want an error", c.name, len(b))
		}
	}
	if got := [2]int{len(own.Info().Keys), len(shared.Info().Keys)}; got != [2]int{2, 3} || shared.Info().Keys[0].Role != Active {
		t.Errorf("after Join the rings have %v keys, want 2 and 3 and their roles", got)
	}
	if _, err := own.Marshal(); err == nil {
		t.Error("Marshal of a ring of epoch 0 succeeded")
	}
	live, _ := Join(shared, own).Live(base, base.Add(time.Hour))
	if b, err := live.Marshal(); err == nil {
		t.Errorf("Live of a joined ring: Marshal() = %d bytes, want an error", len(b))
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		e1, v1, e2, v2 uint64
		want           int
	}{
		{1, 1, 1, 1, 0},
		{0, 0, 0, 0, 0},
		{1, 1, 1, 2, -1},
		{1, 9, 1, 10, -1},
		{1, 10, 2, 1, -1},
		{2, 11, 3, 11, -1},
		{0, 7, 1, 1, -1},
		{1, 1<<64 - 1, 2, 0, -1},
	} {
		a, b := Info{Epoch: c.e1, Version: c.v1}, Info{Epoch: c.e2, Version: c.v2}
		if got := a.Compare(b); got != c.want {
			t.Errorf("Info{%d, %d}.Compare(Info{%d, %d}) = %d, want %d", c.e1, c.v1, c.e2, c.v2, got, c.want)
		}
		if got := b.Compare(a); got != -c.want {
			t.Errorf("Info{%d, %d}.Compare(Info{%d, %d}) = %d, want %d", c.e2, c.v2, c.e1, c.v1, got, -c.want)
		}
	}
}

func TestStatic(t *testing.T) {
	r := known(hourly, 0)
	if Static(r).Ring() != r {
		t.Error("Static(r).Ring() is another pointer, want r")
	}
}

func TestInfoJSON(t *testing.T) {
	b, err := json.Marshal(known(hourly, 0, time.Hour))
	if want := `{"epoch":1,"version":1,"rotated":"2026-03-01T12:00:00Z","policy":{"interval":"1h0m0s","ticket_lifetime":"12h0m0s"},"keys":[` +
		`{"id":"key-0","role":"active","created":"2026-03-01T12:00:00Z","activated":"2026-03-01T12:00:00Z"},` +
		`{"id":"key-1","role":"retired","created":"2026-03-01T12:00:00Z","activated":"2026-03-01T12:00:00Z"},` +
		`{"id":"key-2","role":"staged","created":"2026-03-01T12:00:00Z"}]}`; string(b) != want || err != nil {
		t.Errorf("json.Marshal(ring) = %s, %v, want %s", b, err, want)
	}
}

func TestRole(t *testing.T) {
	for r, want := range map[Role]string{0: "none", Active: "active", Retired: "retired", Staged: "staged", 200: "role 200"} {
		if got := r.String(); got != want {
			t.Errorf("Role(%d).String() = %q, want %q", uint8(r), got, want)
		}
	}
}
