package seal

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stekring/stekring/keyring"
)

func TestSealOpen(t *testing.T) {
	r := testRing(t)
	for name, k := range map[string]*KEK{"new": NewKEK(), "one": testKEK(t, 0), "two": testKEK(t, 0, 1), "plaintext": Plaintext()} {
		mustOpen(t, name, k, sealed(t, k, r), r)
	}
}

// TestNonces shows that no nonce is used again: with AES-GCM, two records under
// one nonce give the key of their authentication away.
func TestNonces(t *testing.T) {
	k, r := testKEK(t, 0), testRing(t)
	seen := map[string]bool{}
	at := len(header("test-0"))
	for range 2000 {
		rec := sealed(t, k, r)
		nonce := string(rec[at:][:nonceSize])
		if seen[nonce] || nonce == strings.Repeat("\x00", nonceSize) {
			t.Fatalf("nonce %x has been used before", nonce)
		}
		seen[nonce] = true
	}
}

// TestPath opens a record nowhere but where it was sealed for.
func TestPath(t *testing.T) {
	k, r := testKEK(t, 0), testRing(t)
	rec := sealed(t, k, r)
	for _, at := range []string{"", "/", path + "/", path[1:], path[:len(path)-1], strings.ToUpper(path), "/stekring/shop/ring", path + "\x00"} {
		mustRefuse(t, at, k, at, rec, ErrForged)
	}
	// Where the id ends and the path begins must not be open to doubt.
	raw := testRaw(0)
	a, err1 := ParseKEK([]byte(line("a", raw)))
	ab, err2 := ParseKEK([]byte(line("ab", raw)))
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	rec, err := a.Seal("bc", r)
	if err != nil {
		t.Fatal(err)
	}
	moved := slices.Concat(header("ab"), rec[len(header("a")):])
	mustRefuse(t, "id ab, path c", ab, "c", moved, ErrForged)
	mustRefuse(t, "id ab, path bc", ab, "bc", moved, ErrForged)
}

// TestBitFlips damages each bit of a record in turn.
func TestBitFlips(t *testing.T) {
	k := testKEK(t, 0)
	rec := sealed(t, k, testRing(t))
	id := len(magic) + 2
	for i := range rec {
		for bit := range 8 {
			damaged := bytes.Clone(rec)
			damaged[i] ^= 1 << bit
			want := ErrForged
			switch {
			case i == len(magic):
				want = ErrFormat
			case i >= id && i < id+len("test-0") && validID(string(damaged[id:][:len("test-0")])):
				want = ErrUnknownKEK
			case i == id-1 && validID(string(damaged[id:][:min(int(damaged[i]), len(rec)-id)])):
				want = ErrUnknownKEK
			}
			mustRefuse(t, "damaged", k, path, damaged, want)
		}
	}
}

// TestCut has a record end too soon, or too late.
func TestCut(t *testing.T) {
	k := testKEK(t, 0)
	rec := sealed(t, k, testRing(t))
	for n := range rec {
		mustRefuse(t, "cut off", k, path, rec[:n:n], ErrForged)
	}
	for _, tail := range [][]byte{{0}, rec, make([]byte, 16)} {
		mustRefuse(t, "followed", k, path, slices.Concat(rec, tail), ErrForged)
	}
}

func TestUnknownKEK(t *testing.T) {
	rec := sealed(t, testKEK(t, 0), testRing(t))
	for name, k := range map[string]*KEK{"another": testKEK(t, 1), "others": testKEK(t, 1, 2), "fresh": NewKEK()} {
		mustRefuse(t, name, k, path, rec, ErrUnknownKEK)
		_, err := k.Open(path, rec)
		if want := "test-0, have " + k.String(); !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Open = %v, want it to say %q", name, err, want)
		}
	}
	impostor, err := ParseKEK([]byte(line("test-0", testRaw(1))))
	if err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, "the same id with another key", impostor, path, rec, ErrForged)
}

// TestLaterFormat leaves alone what a later version may have written, whatever
// follows the format.
func TestLaterFormat(t *testing.T) {
	k := testKEK(t, 0)
	rec := sealed(t, k, testRing(t))
	for _, format := range []byte{0, 2, 255} {
		later := bytes.Clone(rec)
		later[len(magic)] = format
		mustRefuse(t, "whole", k, path, later, ErrFormat)
		mustRefuse(t, "short", k, path, later[:len(magic)+1], ErrFormat)
	}
}

func TestOversize(t *testing.T) {
	for name, k := range map[string]*KEK{"sealed": testKEK(t, 0), "plaintext": Plaintext()} {
		big := make([]byte, keyring.MaxRecord+1)
		copy(big, sealed(t, k, testRing(t)))
		mustRefuse(t, name, k, path, big, ErrForged)
		if _, err := k.Open(path, big); !strings.Contains(err.Error(), "65537 bytes, must be at most 65536") {
			t.Errorf("%s: Open(65537 bytes) = %v, want it refused for its size", name, err)
		}
	}
}

// TestInvalid has records that are authentic and yet no ring.
func TestInvalid(t *testing.T) {
	k := testKEK(t, 0)
	for name, plain := range map[string][]byte{"empty": nil, "text": []byte("ring"), "an envelope": sealed(t, k, testRing(t))} {
		head, nonce := header("test-0"), make([]byte, nonceSize)
		rec := k.keys[0]().aead.Seal(slices.Concat(head, nonce), nonce, plain, aad(head, path))
		mustRefuse(t, name, k, path, rec, ErrInvalid)
	}
}

// TestPlaintext has either kind of KEK meet the other kind of record.
func TestPlaintext(t *testing.T) {
	k, open, r := testKEK(t, 0), Plaintext(), testRing(t)
	mustRefuse(t, "a plain record where sealed ones are", k, path, sealed(t, open, r), ErrForged)
	mustRefuse(t, "a sealed record where plain ones are", open, path, sealed(t, k, r), ErrUnknownKEK)
	mustRefuse(t, "nothing", k, path, nil, ErrForged)
	mustRefuse(t, "nothing, plain", open, path, nil, ErrInvalid)
	mustRefuse(t, "the magic alone", k, path, []byte(magic), ErrForged)
	mustRefuse(t, "the magic alone, plain", open, path, []byte(magic), ErrInvalid)
	mustRefuse(t, "text", open, path, []byte("hello"), ErrInvalid)
}

// TestAtRest shows what a KEK is for: a plain record has the keys in it, and a
// sealed one does not.
func TestAtRest(t *testing.T) {
	k, r := testKEK(t, 0), testRing(t)
	plain, closed := sealed(t, Plaintext(), r), sealed(t, k, r)
	for i, key := range r.TicketKeys("") {
		if !bytes.Contains(plain, key[:]) {
			t.Errorf("a plain record lacks key %d", i)
		}
		if bytes.Contains(closed, key[:4]) {
			t.Errorf("a sealed record has 4 bytes of key %d", i)
		}
	}
	for _, secret := range [][]byte{testRaw(0)[:10], []byte("LastRotation"), []byte(r.Info().Keys[0].ID)} {
		if bytes.Contains(closed, secret) {
			t.Errorf("a sealed record has %q", secret)
		}
	}
	if !bytes.HasPrefix(closed, []byte("STEKRING\x01\x06test-0")) {
		t.Errorf("a sealed record begins %q, want its header in the clear", closed[:16])
	}
}

// TestSealRefuses keeps a node's own keys out of etcd under any KEK.
func TestSealRefuses(t *testing.T) {
	own := keyring.DefaultPolicy.First(0, 1, time.Now())
	for name, r := range map[string]*keyring.Ring{"own": own, "joined": keyring.Join(testRing(t), own)} {
		for _, k := range []*KEK{testKEK(t, 0), Plaintext()} {
			if rec, err := k.Seal(path, r); err == nil {
				t.Errorf("%v.Seal(%s) = %d bytes, want an error", k, name, len(rec))
			}
		}
	}
}
