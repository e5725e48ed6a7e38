package seal

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stekring/stekring/keyring"
)

const path = "/stekring/www/ring"

// testRaw returns a KEK that nobody can mistake for one in use.
func testRaw(i int) []byte { return []byte(fmt.Sprintf("%02d TEST KEK of stekring, no use.", i)) }

// line returns a line of a KEK file.
func line(id string, raw []byte) string {
	return id + ":" + base64.StdEncoding.EncodeToString(raw) + "\n"
}

// testKEK returns test keys under ids of their own; the first seals.
func testKEK(t testing.TB, numbers ...int) *KEK {
	t.Helper()
	var b strings.Builder
	for _, i := range numbers {
		b.WriteString(line(fmt.Sprintf("test-%d", i), testRaw(i)))
	}
	k, err := ParseKEK([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// testRing returns a ring of printable keys, which its gob has in the clear.
func testRing(t testing.TB) *keyring.Ring {
	t.Helper()
	b, err := os.ReadFile("../testdata/record-v1.gob")
	if err != nil {
		t.Fatal(err)
	}
	r, err := keyring.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sealed(t testing.TB, k *KEK, r *keyring.Ring) []byte {
	t.Helper()
	rec, err := k.Seal(path, r)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// mustOpen checks that k opens rec at path as r.
func mustOpen(t testing.TB, what string, k *KEK, rec []byte, r *keyring.Ring) {
	t.Helper()
	got, err := k.Open(path, rec)
	if err != nil {
		t.Errorf("%s: Open = %v, want a ring", what, err)
	} else if !reflect.DeepEqual(got.Info(), r.Info()) || !slices.Equal(got.TicketKeys(""), r.TicketKeys("")) {
		t.Errorf("%s: Open = %v, want %v", what, got, r)
	}
}

// mustRefuse checks that k refuses rec for that reason and no other.
func mustRefuse(t testing.TB, what string, k *KEK, at string, rec []byte, want error) {
	t.Helper()
	r, err := k.Open(at, rec)
	if r != nil || err == nil {
		t.Errorf("%s: Open = %v, %v, want %v", what, r, err, want)
		return
	}
	for _, is := range []error{ErrUnknownKEK, ErrFormat, ErrForged, ErrInvalid} {
		if errors.Is(err, is) != (is == want) {
			t.Errorf("%s: Open = %v, want only %v", what, err, want)
		}
	}
}
