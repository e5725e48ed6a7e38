package keyring

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"math"
	"time"
)

// MaxRecord is the size in bytes of the largest record that is looked at.
const MaxRecord = 64 << 10

// record is a ring at rest, a gob. It begins as the record of Caddy's
// distributed session ticket module does, so that the one decodes into the
// other. It is flat, with neither maps nor nested structs, because a hostile
// gob can make those allocate without bound. Roles are not stored: the first
// key is active, the last staged, the rest retired.
type record struct {
	Keys         [][KeySize]byte
	LastRotation time.Time
	NextRotation time.Time // for people; nothing is decided by it

	Version, Epoch           uint64
	Interval, TicketLifetime time.Duration
	Manual                   bool

	IDs                []string
	Life               []time.Duration // active: how long it has sealed; retired: how long it still opens
	Created, Activated []int64         // Unix milliseconds; 0 is none

	EpochSecret []byte // in a record without one it is derived from the active key
}

var errNoTime = errors.New("keyring: a stamp outside the years 1970 to 9999")

// Marshal returns r's record. It refuses a ring that Parse would refuse, one
// of epoch 0 and one made by Join: those never leave their process.
func (r *Ring) Marshal() ([]byte, error) {
	if r.joined || r.info.Epoch == 0 {
		return nil, errors.New("keyring: a node's own keys are never stored")
	}
	if err := r.validate(); err != nil {
		return nil, err
	}
	p := r.info.Policy
	rec := record{
		LastRotation: r.info.Rotated, NextRotation: r.info.Rotated.Add(p.Interval),
		Version: r.info.Version, Epoch: r.info.Epoch,
		Interval: p.Interval, TicketLifetime: p.TicketLifetime, Manual: p.Manual,
		EpochSecret: r.epoch()[:],
	}
	for i, k := range r.info.Keys {
		rec.Keys = append(rec.Keys, *r.secret[i]())
		rec.IDs = append(rec.IDs, k.ID)
		rec.Life = append(rec.Life, k.Sealed+k.Left) // one of them is 0
		rec.Created = append(rec.Created, k.Created.UnixMilli())
		activated := int64(0)
		if !k.Activated.IsZero() {
			activated = k.Activated.UnixMilli()
		}
		rec.Activated = append(rec.Activated, activated)
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(rec); err != nil {
		return nil, fmt.Errorf("keyring: encoding a record: %w", err)
	}
	return b.Bytes(), nil
}

// Parse reads a record. It is for authenticated bytes, yet takes any: it
// refuses what is over [MaxRecord], malformed or not a sound ring, and never
// panics. An error says which rule was broken and holds no secret.
func Parse(b []byte) (*Ring, error) {
	var rec record
	if err := decode(b, &rec); err != nil {
		return nil, err
	}
	n := len(rec.Keys)
	if n > MaxKeys {
		return nil, fmt.Errorf("keyring: a ring of %d keys: must be at most %d", n, MaxKeys)
	}
	if n > 0 && len(rec.IDs) == 0 {
		return nil, fmt.Errorf("keyring: a record of %d keys without ids: another program's, such as Caddy's", n)
	}
	if len(rec.IDs) != n || len(rec.Life) != n || len(rec.Created) != n || len(rec.Activated) != n {
		return nil, fmt.Errorf("keyring: a record of %d keys that describes another number of them", n)
	}
	if s := len(rec.EpochSecret); s != 0 && s != KeySize {
		return nil, fmt.Errorf("keyring: an epoch secret of %d bytes: must be %d", s, KeySize)
	}
	r := &Ring{info: Info{
		Epoch: rec.Epoch, Version: rec.Version, Rotated: stamp(rec.LastRotation),
		Policy: Policy{Interval: rec.Interval, TicketLifetime: rec.TicketLifetime, Manual: rec.Manual},
	}}
	for i := range n {
		k := Key{ID: rec.IDs[i], Role: Retired, Created: time.UnixMilli(rec.Created[i]).UTC()}
		if rec.Activated[i] != 0 {
			k.Activated = time.UnixMilli(rec.Activated[i]).UTC()
		}
		switch i {
		case 0:
			k.Role, k.Sealed = Active, rec.Life[i]
		case n - 1:
			k.Role = Staged
		default:
			k.Left = rec.Life[i]
		}
		r.add(k, keep(&rec.Keys[i]))
	}
	if len(rec.EpochSecret) > 0 {
		r.epoch = keep((*[KeySize]byte)(rec.EpochSecret))
	} else if n > 0 {
		r.epoch = firstEpoch(r.secret[0])
	}
	if err := r.validate(); err != nil {
		return nil, err
	}
	return r, nil
}

// firstEpoch returns what stands for the epoch secret that a record lacks, until
// a leader writes it into the next one.
func firstEpoch(active secret) secret {
	k := derive(active, "stekring/epoch/v1")
	return keep(&k)
}

// validate holds every ring to the rules, those made here and those read.
func (r *Ring) validate() error {
	n := len(r.secret)
	switch {
	case n == 0:
		return errors.New("keyring: a ring without keys")
	case n == 1:
		return errors.New("keyring: a ring without a staged key")
	case n > MaxKeys:
		return fmt.Errorf("keyring: a ring of %d keys: must be at most %d", n, MaxKeys)
	case r.info.Version == 0 || r.info.Version > math.MaxInt64:
		return fmt.Errorf("keyring: version %d: out of range", r.info.Version)
	case r.info.Epoch == 0 || r.info.Epoch > math.MaxInt64:
		return fmt.Errorf("keyring: epoch %d: out of range", r.info.Epoch)
	}
	if err := r.info.Policy.Validate(); err != nil {
		return err
	}
	if !sane(r.info.Rotated) {
		return errNoTime
	}
	if weak(r.epoch()[:]) {
		return errors.New("keyring: the epoch secret is constant")
	}
	ids, secrets := map[string]bool{}, map[[KeySize]byte]bool{}
	for i, k := range r.info.Keys {
		switch {
		case !validID(k.ID):
			return fmt.Errorf("keyring: key %d has no valid id: want 1 to 64 letters, digits or .-_", i)
		case ids[k.ID]:
			return fmt.Errorf("keyring: key %d repeats id %s", i, k.ID)
		case weak(r.secret[i]()[:]):
			return fmt.Errorf("keyring: key %s is constant", k.ID)
		case secrets[*r.secret[i]()]:
			return fmt.Errorf("keyring: key %s repeats another", k.ID)
		case k.Sealed < 0 || k.Left < 0 || k.Left > MaxTicketLifetime+MaxInterval || k.Sealed > math.MaxInt64/4:
			return fmt.Errorf("keyring: key %s has an age out of range", k.ID)
		case k.Role == Retired && k.Left == 0:
			return fmt.Errorf("keyring: key %s has had its time", k.ID)
		case !sane(k.Created) || !k.Activated.IsZero() && !sane(k.Activated):
			return errNoTime
		}
		ids[k.ID], secrets[*r.secret[i]()] = true, true
	}
	return nil
}

func weak(k []byte) bool { return bytes.Count(k, k[:1]) == len(k) }

// sane bounds the stamps to what every encoding of them can say.
func sane(t time.Time) bool { return t.Year() >= 1970 && t.Year() <= 9999 }

func validID(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
