// Package seal is the ring's record at rest: an envelope that only a key
// encryption key (KEK) opens. The KEK never goes where the envelope goes, so
// that whoever reads etcd's disk, its backups or its traffic opens nothing.
package seal

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	keySize = 32
	// maxFile is the largest KEK file in bytes that is read.
	maxFile = 64 << 10
	maxKEKs = 32
)

// KEK is one or more key encryption keys: the first seals, all open. It is
// immutable, safe for concurrent use, and prints as its ids. The zero KEK has no
// key: it seals and opens nothing.
type KEK struct {
	open bool // made by Plaintext
	ids  []string
	keys []func() *key // funcs because nothing prints what a func closes over
}

type key struct {
	raw  [keySize]byte // for File
	aead cipher.AEAD
}

// NewKEK makes one fresh key with a random id.
func NewKEK() *KEK {
	var raw [keySize]byte
	rand.Read(raw[:])
	var id [4]byte
	rand.Read(id[:])
	k := &KEK{}
	k.add(hex.EncodeToString(id[:]), raw)
	return k
}

// Plaintext seals nothing: records lie open in etcd, where anyone who reads
// them can read recorded traffic. It is for reading foreign records and for
// those who say so twice.
func Plaintext() *KEK { return &KEK{open: true} }

// LoadKEK reads a KEK file of at most 64 KiB and 32 keys. The file must be a
// regular one that only its owner can read or write. If that is root, and this
// process is not, the group may read it too: so Kubernetes and systemd hand files
// over. Windows has no such modes.
func LoadKEK(file string) (*KEK, error) {
	// To open a FIFO is to wait for its writer, so look before.
	if st, err := os.Stat(file); err == nil && !st.Mode().IsRegular() {
		return nil, fmt.Errorf("seal: KEK file %s: not a regular file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("seal: KEK file: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("seal: KEK file: %w", err)
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("seal: KEK file %s: not a regular file", file)
	case st.Mode().Perm()&forbidden(st) != 0:
		return nil, fmt.Errorf("seal: KEK file %s: mode %04o lets others read or change it; chmod 600 it", file, st.Mode().Perm())
	case st.Size() > maxFile:
		return nil, fmt.Errorf("seal: KEK file %s: %d bytes, must be at most %d", file, st.Size(), maxFile)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("seal: KEK file: %w", err)
	}
	k, err := ParseKEK(b)
	if err != nil {
		return nil, fmt.Errorf("%w (in %s)", err, file)
	}
	return k, nil
}

// ParseKEK reads lines of id:base64, of 32 bytes each, with # comments. The
// first key seals, all open. Errors name the line and never show it.
func ParseKEK(b []byte) (*KEK, error) {
	if len(b) > maxFile {
		return nil, fmt.Errorf("seal: KEK file of %d bytes: must be at most %d", len(b), maxFile)
	}
	k := &KEK{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, maxFile+1)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		id, text, found := strings.Cut(line, ":")
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		switch {
		case !found:
			return nil, fmt.Errorf("seal: KEK line %d: no colon: want id:base64 of %d bytes; make one with: stekring keygen", n, keySize)
		case !validID(id):
			return nil, fmt.Errorf("seal: KEK line %d: the id before the colon must be 1 to 64 letters, digits or .-_", n)
		case err != nil || len(raw) != keySize:
			return nil, fmt.Errorf("seal: KEK line %d: want base64 of %d bytes after the colon, got %d bytes", n, keySize, len(raw))
		case bytes.Count(raw, raw[:1]) == keySize:
			return nil, fmt.Errorf("seal: KEK line %d: a constant key is no secret; make one with: stekring keygen", n)
		case len(k.ids) == maxKEKs:
			return nil, fmt.Errorf("seal: KEK line %d: more than %d keys", n, maxKEKs)
		}
		for i := range k.ids {
			if k.ids[i] == id || bytes.Equal(k.keys[i]().raw[:], raw) {
				return nil, fmt.Errorf("seal: KEK line %d: repeats the id or the key of %s", n, k.ids[i])
			}
		}
		k.add(id, [keySize]byte(raw))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("seal: KEK file: %w", err)
	}
	if len(k.ids) == 0 {
		return nil, errors.New("seal: a KEK file without keys; make one with: stekring keygen")
	}
	return k, nil
}

// File returns k as a KEK file. It is a secret.
func (k *KEK) File() []byte {
	var b bytes.Buffer
	for i, id := range k.ids {
		fmt.Fprintf(&b, "%s:%s\n", id, base64.StdEncoding.EncodeToString(k.keys[i]().raw[:]))
	}
	return b.Bytes()
}

func (k *KEK) String() string {
	if k.open {
		return "KEK(plaintext)"
	}
	return "KEK(" + strings.Join(k.ids, ",") + ")"
}

// Format prints the ids whatever the verb.
func (k *KEK) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// MarshalText makes a KEK read as its ids in JSON and logs.
func (k *KEK) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

func (k *KEK) add(id string, raw [keySize]byte) {
	// The key in the file never meets data itself, so that it can serve other
	// ends later under other labels.
	sealing, err := hkdf.Key(sha256.New, raw[:], nil, "stekring/seal/v1", keySize)
	if err != nil {
		panic(err) // only for lengths that SHA-256 cannot give
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	kept := &key{raw, aead}
	k.ids, k.keys = append(k.ids, id), append(k.keys, func() *key { return kept })
}

func validID(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
