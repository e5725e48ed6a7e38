package keyring

import (
	"slices"
	"time"
)

// Seen returns when a process must take r to have been written that meets it
// with no memory of its own, after a restart: when its stamp says, and now if
// that is in the future. However old it says, that is believed: a ring that is
// long dead must not come back as a fresh one, and where the clock is wrong
// instead, a node seals with its own key until the next rotation. Whoever saw r
// arrive uses that instant.
func (r *Ring) Seen(now time.Time) time.Time {
	written := r.info.Rotated.Add(r.active().Sealed)
	return now.Add(-max(0, now.Sub(written)))
}

// Stale returns when the active key must stop sealing, for a node that first
// saw r at seen; the zero time is never.
func (r *Ring) Stale(seen time.Time) time.Time {
	p := r.info.Policy
	if p.Manual {
		return time.Time{}
	}
	return seen.Add(p.sealing() - r.active().Sealed)
}

// Live returns r without what has expired at now, and when the next of it
// expires (the zero time is never). If nothing has, it returns r itself; if
// everything has, nil. Seen belongs to the result as it does to r.
func (r *Ring) Live(seen, now time.Time) (*Ring, time.Time) {
	var next time.Time
	if stale := r.Stale(seen); !stale.IsZero() {
		if next = stale.Add(r.info.Policy.Retirement()); !now.Before(next) {
			return nil, time.Time{}
		}
	}
	expired := func(k Key) bool { return k.Role == Retired && !now.Before(seen.Add(k.Left)) }
	for _, k := range r.info.Keys {
		if k.Role == Retired && !expired(k) {
			next = earliest(next, seen.Add(k.Left))
		}
	}
	if !slices.ContainsFunc(r.info.Keys, expired) {
		return r, next
	}
	live := &Ring{info: r.info, epoch: r.epoch, joined: r.joined}
	live.info.Keys = nil
	for i, k := range r.info.Keys {
		if !expired(k) {
			live.add(k, r.secret[i])
		}
	}
	return live, next
}

// Capped returns r as a node must use it that first saw it at now and held
// have, which it had first seen at seen: no key outlives what have promised,
// however late its record came. It returns r itself if none does.
func (r *Ring) Capped(have *Ring, seen, now time.Time) *Ring {
	left := map[string]time.Duration{}
	for _, k := range have.info.Keys {
		switch stale := have.Stale(seen); {
		case k.Role == Retired:
			left[k.ID] = max(0, k.Left-elapsed(seen, now))
		case k.Role == Active && !stale.IsZero():
			left[k.ID] = max(0, stale.Add(have.info.Policy.Retirement()).Sub(now))
		}
	}
	c := &Ring{info: r.Info(), secret: r.secret, epoch: r.epoch, joined: r.joined}
	changed := false
	for i := range c.info.Keys {
		k := &c.info.Keys[i]
		limit, known := left[k.ID]
		if k.Role == Retired && known && k.Left > limit {
			k.Left, changed = limit, true
		}
	}
	if a := c.active(); a.ID == have.active().ID {
		if age := have.sealed(seen, now); a.Sealed < age {
			a.Sealed, changed = age, true
		}
	}
	if !changed {
		return r
	}
	return c
}

// Unbounded returns r with an active key that may seal for ever, for a node
// that is told to keep the ring through an outage of any length.
func (r *Ring) Unbounded() *Ring {
	u := *r
	u.info.Policy.Manual = true
	return &u
}

// earliest returns the sooner of two instants, of which zero is never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
