package seal

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stekring/stekring/internal/allocated"
	"github.com/stekring/stekring/keyring"
)

// FuzzOpen holds every record to this: it is the one ring that was ever sealed
// under this KEK, or it is refused for a reason that a caller can act on.
func FuzzOpen(f *testing.F) {
	k, r := testKEK(f, 0), testRing(f)
	rec, plain := sealed(f, k, r), sealed(f, Plaintext(), r)
	other := sealed(f, testKEK(f, 1), r)
	for _, b := range [][]byte{rec, plain, other, rec[:30], []byte(magic), []byte(magic + "\x02"), []byte(magic + "\x01\xff"), nil} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		open := func(k *KEK) (r *keyring.Ring) {
			var err error
			allocated.Check(t, b, func() { r, err = k.Open(path, b) })
			known(t, err)
			return r
		}
		ring := open(k)
		if ring != nil && !slices.Equal(ring.TicketKeys(""), r.TicketKeys("")) {
			t.Errorf("Open(%q) = %v, want a forgery refused", b, ring)
		}
		if ring := open(Plaintext()); ring != nil {
			if _, err := ring.Marshal(); err != nil {
				t.Errorf("Plaintext().Open(%q) = a ring that is not stored again: %v", b, err)
			}
		}
	})
}

// known checks that a refusal is one of those that callers tell apart.
func known(t *testing.T, err error) {
	t.Helper()
	n := 0
	for _, is := range []error{ErrUnknownKEK, ErrFormat, ErrForged, ErrInvalid} {
		if errors.Is(err, is) {
			n++
		}
	}
	if err != nil && n != 1 {
		t.Errorf("Open = %v, want one of the four reasons", err)
	}
}

// FuzzParseKEK holds every file to this: it is refused by its line, or it is a
// KEK that can be written, read back and used.
func FuzzParseKEK(f *testing.F) {
	a := line("a", testRaw(0))
	for _, s := range []string{
		"", a, a + line("b", testRaw(1)), "# one\r\n" + a, a + a, "a:", ":", "a", line("a", testRaw(0)[:31]), strings.Repeat("#\n", 100),
	} {
		f.Add([]byte(s))
	}
	r := testRing(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		var k *KEK
		var err error
		allocated.Check(t, b, func() { k, err = ParseKEK(b) })
		if err != nil {
			if k != nil || !strings.HasPrefix(err.Error(), "seal: ") || strings.ContainsAny(err.Error(), "\n\r\x00") {
				t.Errorf("ParseKEK(%q) = %v, %q, want an error of one line alone", b, k, err)
			}
			return
		}
		back, err := ParseKEK(k.File())
		if err != nil {
			t.Fatalf("ParseKEK(%q).File() = %q: %v", b, k.File(), err)
		}
		if !bytes.Equal(back.File(), k.File()) || back.String() != k.String() {
			t.Errorf("ParseKEK(%q) = %v, and %v when written and read", b, k, back)
		}
		mustOpen(t, "read back", back, sealed(t, k, r), r)
	})
}
