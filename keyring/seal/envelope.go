package seal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/stekring/stekring/keyring"
)

// An envelope is
//
//	"STEKRING" | format, 1 byte | length of id, 1 byte | id | nonce, 12 bytes | AES-256-GCM
//
// with all before the nonce, and the path of the etcd key, as additional data:
// a record moved to another ring's path does not open there.
const (
	magic     = "STEKRING"
	format    = 1
	nonceSize = 12
)

// What Open can find wrong, by what a caller does about it.
var (
	// ErrUnknownKEK means sealed under a KEK that is not here. Leave the record
	// to those who have it.
	ErrUnknownKEK = errors.New("seal: sealed under an unknown KEK")
	// ErrFormat means of a later format. Leave the record to later versions.
	ErrFormat = errors.New("seal: a later format")
	// ErrForged means that nobody who has the KEK wrote it, or that it was
	// damaged since. A leader may replace it.
	ErrForged = errors.New("seal: not authentic")
	// ErrInvalid means authentic and yet not a sound ring.
	ErrInvalid = errors.New("seal: not a sound ring")
)

// Seal returns r's record, sealed under the first key of k for the etcd key
// path. Two of them are never the same bytes. It refuses what keyring.Ring.Marshal
// refuses, and a KEK without keys.
func (k *KEK) Seal(path string, r *keyring.Ring) ([]byte, error) {
	plain, err := r.Marshal()
	if err != nil {
		return nil, err
	}
	switch {
	case k.open:
		return plain, nil
	case len(k.ids) == 0:
		return nil, errors.New("seal: a KEK without keys; make one with NewKEK or LoadKEK")
	}
	head := header(k.ids[0])
	out := make([]byte, len(head)+nonceSize, len(head)+nonceSize+len(plain)+16)
	copy(out, head)
	nonce := out[len(head):]
	rand.Read(nonce)
	return k.keys[0]().aead.Seal(out, nonce, plain, aad(head, path)), nil
}

// Open returns the ring of a record that was read at path. It refuses what is
// over 64 KiB before it looks at it, and looks at nothing that it has not
// authenticated first. Its errors wrap one of those above.
func (k *KEK) Open(path string, rec []byte) (*keyring.Ring, error) {
	if len(rec) > keyring.MaxRecord {
		return nil, fmt.Errorf("%w: %d bytes, must be at most %d", ErrForged, len(rec), keyring.MaxRecord)
	}
	if k.open {
		if enveloped(rec) {
			return nil, fmt.Errorf("%w: the record is sealed; give the KEK file that its writers use", ErrUnknownKEK)
		}
		return parse(rec)
	}
	id, err := ID(rec)
	if err != nil {
		return nil, err
	}
	i := slices.Index(k.ids, id)
	if i < 0 {
		return nil, fmt.Errorf("%w: %s, have %s; add it to this node's KEK file", ErrUnknownKEK, id, k)
	}
	head := header(id)
	body := rec[len(head):]
	plain, err := k.keys[i]().aead.Open(nil, body[:nonceSize], body[nonceSize:], aad(head, path))
	if err != nil {
		return nil, fmt.Errorf("%w: not sealed under KEK %s for %s, or damaged since", ErrForged, id, path)
	}
	return parse(plain)
}

// ID returns the id of the KEK that a record says it is sealed under; only who
// opens it knows. Its errors wrap ErrFormat or ErrForged.
func ID(rec []byte) (string, error) {
	switch {
	case !enveloped(rec):
		return "", fmt.Errorf("%w: %d bytes that are not a sealed record", ErrForged, len(rec))
	case rec[len(magic)] != format:
		return "", fmt.Errorf("%w: format %d, this version reads %d; upgrade this node", ErrFormat, rec[len(magic)], format)
	case len(rec) < len(magic)+2 || len(rec) < len(magic)+2+int(rec[len(magic)+1])+nonceSize:
		return "", fmt.Errorf("%w: cut off after %d bytes", ErrForged, len(rec))
	}
	id := string(rec[len(magic)+2:][:rec[len(magic)+1]])
	if !validID(id) {
		return "", fmt.Errorf("%w: no valid KEK id", ErrForged)
	}
	return id, nil
}

func enveloped(rec []byte) bool { return len(rec) > len(magic) && string(rec[:len(magic)]) == magic }

func parse(plain []byte) (*keyring.Ring, error) {
	r, err := keyring.Parse(plain)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return r, nil
}

func header(id string) []byte {
	return append(append([]byte(magic), format, byte(len(id))), id...)
}

func aad(head []byte, path string) []byte { return append(slices.Clone(head), path...) }
