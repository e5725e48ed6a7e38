package keyring

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Bounds of a Policy. RFC 8446 section 4.6.1 forbids tickets older than seven
// days; RFC 9325 section 3.4 wants ticket keys changed at least weekly.
const (
	MinInterval       = time.Second
	MaxInterval       = 7 * 24 * time.Hour
	MaxTicketLifetime = 7 * 24 * time.Hour
	// maxPlanned leaves room below MaxKeys for rotations on request.
	maxPlanned = 24
)

// Policy says how a ring ages. It travels in the ring's record, so that every
// node ages a ring alike. Its methods are pure functions of instants: seen is
// when the caller first saw the ring, and durations run from there on the
// caller's monotonic clock, never on another machine's.
type Policy struct {
	Interval       time.Duration // from one rotation to the next
	TicketLifetime time.Duration // how long a ticket resumes at least
	// Manual rotates on request only and lets the active key seal for ever.
	Manual bool
}

// DefaultPolicy rotates hourly and keeps tickets half a day.
var DefaultPolicy = Policy{Interval: time.Hour, TicketLifetime: 12 * time.Hour}

// policyText is a Policy as people write it.
type policyText struct {
	Interval       string `json:"interval"`
	TicketLifetime string `json:"ticket_lifetime"`
	Manual         bool   `json:"manual,omitempty"`
}

// MarshalJSON writes durations with their units.
func (p Policy) MarshalJSON() ([]byte, error) {
	return json.Marshal(policyText{p.Interval.String(), p.TicketLifetime.String(), p.Manual})
}

// UnmarshalJSON reads what MarshalJSON writes, and does not validate it.
func (p *Policy) UnmarshalJSON(b []byte) error {
	var t policyText
	if err := json.Unmarshal(b, &t); err != nil {
		return err
	}
	interval, err1 := time.ParseDuration(t.Interval)
	lifetime, err2 := time.ParseDuration(t.TicketLifetime)
	*p = Policy{Interval: interval, TicketLifetime: lifetime, Manual: t.Manual}
	return errors.Join(err1, err2)
}

// Validate reports what is wrong with p, with the rule it breaks.
func (p Policy) Validate() error {
	switch {
	case p.Interval < MinInterval || p.Interval > MaxInterval:
		return fmt.Errorf("keyring: interval %v: must lie between %v and %v", p.Interval, MinInterval, MaxInterval)
	case p.TicketLifetime <= 0 || p.TicketLifetime > MaxTicketLifetime:
		return fmt.Errorf("keyring: ticket lifetime %v: must be above 0 and at most %v", p.TicketLifetime, MaxTicketLifetime)
	}
	if n := 3 + (p.TicketLifetime+p.Interval-1)/p.Interval; n > maxPlanned {
		return fmt.Errorf("keyring: ticket lifetime %v with interval %v needs a ring of %d keys: must be at most %d; raise the interval or shorten the lifetime",
			p.TicketLifetime, p.Interval, n, maxPlanned)
	}
	return nil
}

// Retirement is how long a key opens tickets after it stopped sealing: an
// interval longer than they live, so that the last ticket of a node which
// learns of a rotation that much later lives as promised too.
func (p Policy) Retirement() time.Duration { return p.TicketLifetime + p.Interval }

// sealing is how long a key seals at most after it became active.
func (p Policy) sealing() time.Duration { return max(2*p.Interval, p.TicketLifetime) }

// Settle is how long a staged key must have been known before it may become
// active, so that nodes which learn of it late still learn of it in time.
func (p Policy) Settle() time.Duration { return min(2*time.Minute, p.Interval/2) }

// First returns a ring of fresh keys. Epoch 0 is for a ring that is never
// stored. It does not validate p; Marshal does.
func (p Policy) First(epoch, version uint64, now time.Time) *Ring {
	r := &Ring{info: Info{Epoch: epoch, Version: version, Rotated: stamp(now), Policy: p}, epoch: fresh()}
	r.add(Key{Role: Active, Created: stamp(now), Activated: stamp(now)}, nil)
	r.add(Key{Role: Staged, Created: stamp(now)}, nil)
	return r
}

// FullError says that a rotation would need more than MaxKeys keys, and when
// it would not.
type FullError struct{ At time.Time }

func (e *FullError) Error() string {
	return fmt.Sprintf("keyring: a rotation would need more than %d keys; there is room at %s", MaxKeys, e.At.UTC().Format(time.RFC3339))
}

// Next returns the ring after one rotation: staged to active, active to
// retired, a fresh staged key, and what has had its time dropped. Its only
// error is a [*FullError].
func (p Policy) Next(r *Ring, seen, now time.Time) (*Ring, error) {
	n := &Ring{info: Info{Epoch: r.info.Epoch, Version: r.info.Version + 1, Rotated: stamp(now), Policy: p}, epoch: r.epoch}
	last := len(r.secret) - 1
	staged := r.info.Keys[last]
	staged.Role, staged.Activated = Active, stamp(now)
	n.add(staged, r.secret[last])

	old := *r.active()
	old.Role, old.Left = Retired, p.Retirement()
	if over := r.sealed(seen, now) - r.info.Policy.sealing(); over > 0 && !r.info.Policy.Manual {
		old.Left -= over // it stopped sealing when it was stale
	}
	old.Sealed = 0
	if old.Left > 0 {
		n.add(old, r.secret[0])
	}
	r.addRetired(n, elapsed(seen, now))
	if len(n.secret)+1 > MaxKeys {
		_, at := r.Unbounded().Live(seen, now) // when a retired key goes
		if stale := r.Stale(seen); !stale.IsZero() {
			at = earliest(at, stale.Add(p.Retirement())) // when the active key need not be kept
		}
		return nil, &FullError{At: at}
	}
	n.add(Key{Role: Staged, Created: stamp(now)}, nil)
	return n, nil
}

// Again returns the same keys as a later version, aged until now. Whoever holds
// the newest ring writes it so when etcd lost it or holds a stamp of the future.
func (p Policy) Again(r *Ring, version uint64, seen, now time.Time) *Ring {
	active, age := *r.active(), r.sealed(seen, now)
	active.Sealed = age
	n := &Ring{info: Info{Epoch: r.info.Epoch, Version: version, Rotated: stamp(now.Add(-age)), Policy: p}, epoch: r.epoch}
	n.add(active, r.secret[0])
	r.addRetired(n, elapsed(seen, now))
	n.add(r.info.Keys[len(r.secret)-1], r.secret[len(r.secret)-1])
	return n
}

// Due returns when r must rotate; the zero time is never. An interval counts
// from when r was first seen or, if that is sooner, from its stamp, which a
// clock that is off makes matter for one rotation at the most.
func (p Policy) Due(r *Ring, seen, now time.Time) time.Time {
	if p.Manual {
		return time.Time{}
	}
	age := r.sealed(seen, now)
	if wall := now.Sub(r.info.Rotated); p.plausible(wall) {
		age = max(age, wall)
	}
	return now.Add(p.Interval - age)
}

// plausible reports whether an age by two clocks may be believed.
func (p Policy) plausible(wall time.Duration) bool { return wall >= 0 && wall <= 10*p.Interval }

func (r *Ring) addRetired(to *Ring, elapsed time.Duration) {
	for i, k := range r.info.Keys {
		if k.Role == Retired && k.Left > elapsed {
			k.Left -= elapsed
			to.add(k, r.secret[i])
		}
	}
}

// sealed returns how long the active key has sealed at now.
func (r *Ring) sealed(seen, now time.Time) time.Duration {
	return r.active().Sealed + elapsed(seen, now)
}

func elapsed(seen, now time.Time) time.Duration { return max(0, now.Sub(seen)) }

// stamp is what of an instant goes into a record: no monotonic reading.
func stamp(t time.Time) time.Time { return t.Round(0).UTC() }
