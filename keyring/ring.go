// Package keyring is the ring of TLS session ticket keys (STEKs) as a value,
// and the rules by which it ages. It reads no clock, knows no network and
// never logs.
//
// A server needs only a [Source] and tlsbind; package rotator is the Source
// that shares one ring among a fleet, [Static] the one for tests. The rest of
// this package is for whoever writes rings: a [Policy] makes the first ring and
// each next one, [Ring.Marshal] and [Parse] are its record.
package keyring

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

const (
	// KeySize is the size in bytes of a session ticket key, as
	// crypto/tls.Config.SetSessionTicketKeys takes it.
	KeySize = 32
	// MaxKeys is how many keys a ring holds at most. A ticket that no key
	// opens costs one HMAC for each.
	MaxKeys = 32
)

// Role is what a key does now. The zero Role is none.
type Role uint8

const (
	Active  Role = iota + 1 // seals new tickets and opens them
	Retired                 // opens tickets until its time is up
	Staged                  // on every node already, opens tickets, seals next
)

var roleNames = [...]string{"none", "active", "retired", "staged"}

func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// MarshalText makes a Role read as its name in JSON and YAML.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Key describes a key and holds no secret.
type Key struct {
	ID   string `json:"id"` // random, says nothing about the key
	Role Role   `json:"role"`

	// Created and Activated are stamps of the writers' clocks. They are for
	// people: nothing is decided by them.
	Created   time.Time `json:"created"`
	Activated time.Time `json:"activated,omitzero"`

	// Sealed is how long an active key had sealed when its ring was written,
	// Left how long a retired one still opened. Both are counted on from when
	// the ring was first seen.
	Sealed time.Duration `json:"-"`
	Left   time.Duration `json:"-"`
}

// Info is all of a ring that is not secret.
type Info struct {
	Epoch   uint64    `json:"epoch"`   // +1 by a revoke; 0 is a ring that never leaves its process
	Version uint64    `json:"version"` // +1 with every committed ring
	Rotated time.Time `json:"rotated"` // when the active key became active, by its writer's clock
	Policy  Policy    `json:"policy"`
	Keys    []Key     `json:"keys"` // active, retired newest first, staged
}

// Compare orders rings by age: an earlier epoch is older whatever its version.
// It returns -1, 0 or +1 as i is older than, as old as or newer than j.
func (i Info) Compare(j Info) int {
	switch {
	case i.Epoch < j.Epoch, i.Epoch == j.Epoch && i.Version < j.Version:
		return -1
	case i.Epoch == j.Epoch && i.Version == j.Version:
		return 0
	}
	return 1
}

// Ring is a set of keys of which one seals and all open. It is immutable and
// safe for concurrent use. It prints as its [Info], with every verb, and so it
// does in JSON and in zap and slog fields. Rings come from a Policy, Parse or
// Join; the zero Ring is none.
type Ring struct {
	info   Info
	secret []secret // secret[i] belongs to info.Keys[i]
	epoch  secret   // as old as the epoch
	joined bool
}

// secret yields a key. It is a func because nothing prints what a func closes
// over, while fmt prints what a pointer points to if the verb does not suit
// pointers: a copy of a Ring, or one in an unexported field, has no Format.
type secret func() *[KeySize]byte

func keep(k *[KeySize]byte) secret { return func() *[KeySize]byte { return k } }

// Info returns a copy of what is not secret.
func (r *Ring) Info() Info {
	info := r.info
	info.Keys = slices.Clone(info.Keys)
	return info
}

// Keyless returns r without its keys, for [Join]: what there is left of a fleet's
// ring when they have all had their time is what it derives.
func (r *Ring) Keyless() *Ring { return &Ring{info: Info{Epoch: r.info.Epoch}, epoch: r.epoch} }

// TicketKeys returns the keys as crypto/tls takes them: the first seals, all
// open. Scope "" has the ring's own keys; any other scope has keys derived from
// them by HKDF-SHA256 (RFC 5869), so that tickets never cross scopes.
func (r *Ring) TicketKeys(scope string) [][KeySize]byte {
	keys := make([][KeySize]byte, len(r.secret))
	for i, s := range r.secret {
		if scope == "" {
			keys[i] = *s()
			continue
		}
		keys[i] = derive(s, "stekring/scope/v1\x00"+scope)
	}
	return keys
}

// Derive returns a secret for what a server must share with its fleet and cannot
// swap, such as the Retry token key of QUIC. It is derived by HKDF-SHA256 from one
// that lives as long as the epoch: until a revoke. Different labels have
// independent secrets. It opens no ticket.
//
// The answer of a ring that only its node has is that node's alone, so ask when
// the fleet's ring is known. A leader of a version that knows no such secret drops
// it from the record, and the fleet gets another.
func (r *Ring) Derive(label string) [KeySize]byte {
	return derive(r.epoch, "stekring/derive/v1\x00"+label)
}

func derive(from secret, info string) (k [KeySize]byte) {
	b, err := hkdf.Key(sha256.New, from()[:], nil, info, KeySize)
	if err != nil {
		panic(err) // only for lengths that SHA-256 cannot give
	}
	copy(k[:], b)
	return k
}

// Join returns a ring that seals as seal does and opens what either opens. It
// has the epoch, version and policy of seal, derives what the fleet derives if
// either is the fleet's, and cannot be marshaled.
func Join(seal, open *Ring) *Ring {
	j := &Ring{info: seal.Info(), secret: slices.Concat(seal.secret, open.secret), epoch: seal.epoch, joined: true}
	if seal.info.Epoch == 0 {
		j.epoch = open.epoch
	}
	for _, k := range open.info.Keys {
		if k.Role == Active {
			k.Role = Retired // here it only opens
		}
		j.info.Keys = append(j.info.Keys, k)
	}
	return j
}

// Source says which ring to use now. Ring never blocks and never returns nil;
// the same pointer means the same keys.
type Source interface{ Ring() *Ring }

// Static is a Source of one ring that never changes, for tests and examples. The
// ring must not be nil.
func Static(r *Ring) Source { return static{r} }

type static struct{ ring *Ring }

func (s static) Ring() *Ring { return s.ring }

func (r *Ring) String() string { return fmt.Sprintf("%+v", r.info) }

// Format prints the Info whatever the verb, so that none reaches the keys.
func (r *Ring) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// MarshalJSON writes the Info. A ring's record is written by Marshal.
func (r *Ring) MarshalJSON() ([]byte, error) { return json.Marshal(r.info) }

func (r *Ring) active() *Key { return &r.info.Keys[0] }

// add appends a key; with no secret given it makes a fresh one.
func (r *Ring) add(k Key, s secret) {
	if s == nil {
		s, k.ID = fresh(), freshID()
	}
	r.info.Keys = append(r.info.Keys, k)
	r.secret = append(r.secret, s)
}

func fresh() secret {
	k := new([KeySize]byte)
	rand.Read(k[:])
	return keep(k)
}

func freshID() string {
	var id [8]byte
	rand.Read(id[:])
	return hex.EncodeToString(id[:])
}
