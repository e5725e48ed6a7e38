package seal

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stekring/stekring/keyring"
)

// TestBadInput is the list of what an envelope must not be. That the last good
// ring stays in use is shown by keyring/rotator's.
// Rows have one numbering in all packages: C is configuration, V a ring's value
// in etcd, K what is typed, A what HTTP is asked, E what etcd answers.
func TestBadInput(t *testing.T) {
	k, ring := testKEK(t, 0, 1), testRing(t)
	good := sealed(t, k, ring)
	edited := func(at int, b byte) []byte {
		rec := bytes.Clone(good)
		rec[(at+len(rec))%len(rec)] = b
		return rec
	}
	text, err := json.Marshal(ring)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name    string
		records [][]byte
		is      error
		want    string // part of the error
	}{
		{"V1 empty value", [][]byte{nil, {}}, ErrForged, "0 bytes that are not a sealed record"},
		{"V2 one byte", [][]byte{{0}, good[:1]}, ErrForged, "1 bytes that are not a sealed record"},
		{"V2 cut off", [][]byte{good[:len(magic)+1], good[:len(magic)+2], good[:len(header("test-0"))+nonceSize-1]}, ErrForged, "cut off after "},
		{"V3 another magic", [][]byte{edited(0, 's'), text, sealed(t, Plaintext(), ring)}, ErrForged, "bytes that are not a sealed record"},
		{"V4 later format", [][]byte{edited(len(magic), 9)}, ErrFormat, "a later format: format 9, this version reads 1; upgrade this node"},
		{"V5 unknown KEK", [][]byte{sealed(t, testKEK(t, 2), ring)}, ErrUnknownKEK, "test-2, have KEK(test-0,test-1); add it to this node's KEK file"},
		{"V6 flipped bit", [][]byte{edited(-1, good[len(good)-1]^1), edited(len(header("test-0")), good[len(header("test-0"))]^0x80)},
			ErrForged, "not sealed under KEK test-0 for " + path + ", or damaged since"},
		{"V7 ring of another path", [][]byte{sealedFor(t, k, "/stekring/shop/ring", ring), sealedFor(t, k, "/other"+path, ring)},
			ErrForged, "not sealed under KEK test-0 for " + path},
		{"V7 ring of another fleet", [][]byte{sealed(t, impostor(t), ring)}, ErrForged, "not sealed under KEK test-0 for " + path},
		{"V11 65537 bytes", [][]byte{append(slices.Clip(good), make([]byte, keyring.MaxRecord+1-len(good))...)}, ErrForged, "65537 bytes, must be at most 65536"},
		{"V11 1.4 MB", [][]byte{make([]byte, 1_468_006)}, ErrForged, "1468006 bytes, must be at most 65536"},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, rec := range row.records {
				mustRefuse(t, row.name, k, path, rec, row.is)
				if _, err := k.Open(path, rec); err != nil && !strings.Contains(err.Error(), row.want) {
					t.Errorf("Open = %v, want %q", err, row.want)
				}
			}
		})
	}
}

func sealedFor(t *testing.T, k *KEK, path string, r *keyring.Ring) []byte {
	t.Helper()
	rec, err := k.Seal(path, r)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// impostor has another key under a known id.
func impostor(t *testing.T) *KEK {
	t.Helper()
	k, err := ParseKEK([]byte(line("test-0", testRaw(3))))
	if err != nil {
		t.Fatal(err)
	}
	return k
}
