package keyring

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stekring/stekring/internal/canary"
)

// TestDeriveLivesAsLongAsTheEpoch follows what a fleet derives through all that
// happens to a ring.
func TestDeriveLivesAsLongAsTheEpoch(t *testing.T) {
	const label = "quic token"
	first := hourly.First(1, 1, base)
	want := first.Derive(label)
	r, seen := first, base
	for range 20 { // no key of the first ring is left
		next, err := hourly.Next(r, seen, seen.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		r, seen = next, seen.Add(time.Hour)
	}
	b, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	read, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	live, _ := r.Live(seen, seen.Add(3*time.Hour))
	own := hourly.First(0, 1, base)
	for what, same := range map[string]*Ring{
		"20 rotations": r, "Marshal and Parse": read, "Live": live, "Unbounded": r.Unbounded(),
		"Again": hourly.Again(r, 30, seen, seen), "Capped": first.Capped(first, base, base.Add(time.Minute)),
		"Join(shared, own)": Join(r, own), "Join(own, shared)": Join(own, r), "Join(own, Keyless)": Join(own, r.Keyless()),
	} {
		if same.Derive(label) != want {
			t.Errorf("after %s, Derive has another answer", what)
		}
	}
	for what, other := range map[string]*Ring{
		"a revoke": hourly.First(2, 21, seen), "an own ring": own, "two own rings": Join(own, hourly.First(0, 1, base)),
	} {
		if other.Derive(label) == want {
			t.Errorf("of %s, Derive has the fleet's answer", what)
		}
	}
	if r.Derive("quic stateless reset") == want {
		t.Error("Derive has the same answer for two labels")
	}
	for _, k := range r.TicketKeys("\x00" + label) {
		if k == want {
			t.Error("Derive has a ticket key")
		}
	}
}

// TestDeriveIsStable holds versions of this package together.
func TestDeriveIsStable(t *testing.T) {
	secret := testKey(9)
	r := known(hourly, 0)
	r.epoch = keep(&secret)
	const want = "21f2854f94dc166c0c696842667065ea3ff554eeb481169a969a9192bcd74bf1"
	if got := fmt.Sprintf("%x", r.Derive("quic token")); got != want {
		t.Errorf("Derive = %s, want %s", got, want)
	}
}

// TestEpochSecretOfBefore reads a record without one. Every node must have the
// same instead, and it must stay.
func TestEpochSecretOfBefore(t *testing.T) {
	r, err := Parse(golden(t))
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(golden(t))
	if err != nil {
		t.Fatal(err)
	}
	if r.Derive("a") != again.Derive("a") || r.Derive("a") == r.Derive("b") {
		t.Error("Derive of a record without an epoch secret differs from node to node")
	}
	next, err := hourly.Next(r, base, base.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	b, err := next.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if after, err := Parse(b); err != nil || after.Derive("a") != r.Derive("a") {
		t.Errorf("Derive changes with a rotation, %v", err)
	}
}

func TestEpochSecretRefused(t *testing.T) {
	for want, secret := range map[string][]byte{
		"an epoch secret of 1 bytes": {1}, "an epoch secret of 33 bytes": make([]byte, 33),
		"the epoch secret is constant": bytes.Repeat([]byte{7}, KeySize),
	} {
		rec := knownRecord()
		rec.EpochSecret = secret
		r, err := Parse(encode(t, rec))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse with %d bytes of epoch secret = %v, %v, want %q", len(secret), r, err, want)
		}
	}
}

func TestEpochSecretIsSecret(t *testing.T) {
	secret := testKey(9)
	r := known(hourly, 0, time.Hour)
	r.epoch = keep(&secret)
	forms := canaries(secret, r.Derive("a"))
	for what, v := range carriers(r) {
		for how, s := range printed(v) {
			if form := canary.Shown(s, forms); form != "" {
				t.Errorf("%s of %s shows the epoch secret in %s", how, what, form)
			}
		}
	}
}
