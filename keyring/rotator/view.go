package rotator

import (
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/stekring/stekring/keyring"
)

// view answers what this node may use now. The answer is kept with the instant
// at which it ends, so that keys expire with no timer and nobody running.
type view struct {
	policy keyring.Policy // of own keys until the fleet's is known
	outage Outage
	log    *zap.Logger
	tell   func() // called after every change, without mu
	note   func() // what to log of the last answer once mu is free, so that no handshake waits for a log; nil is nothing

	cached atomic.Pointer[answer]

	mu    sync.Mutex
	held  held
	own   *keyring.Ring // sealed by this node alone, never stored
	since time.Time     // when own was made
	local bool          // own seals
}

// answer is good until an instant; zero is for ever.
type answer struct {
	ring  *keyring.Ring
	local bool
	until time.Time
}

// held is the newest ring that this node has accepted.
type held struct {
	ring   *keyring.Ring // nil before the first
	digest digest        // of its record in etcd
	seen   time.Time     // when it was written, as far as this node can tell
	guess  bool          // seen is by the stamp, because this node was not there
	at     time.Time     // when this node took it
	wrote  time.Time     // when it was written, by its writer's clock
	staged time.Time     // when this node first had its staged key
}

func (v *view) init(p keyring.Policy, o Outage, log *zap.Logger, tell func()) {
	p.Manual = false // an own key has no reason to live longer than it must
	v.policy, v.outage, v.log, v.tell = p, o, log, tell
	v.since = time.Now()
	v.own, v.local = p.First(0, 1, v.since), true
	v.cached.Store(v.answer(v.since)) // nobody else is here yet
}

func (v *view) ring(now time.Time) *keyring.Ring {
	r, _ := v.now(now)
	return r
}

// now returns the ring to use and when it must no longer be.
func (v *view) now(now time.Time) (*keyring.Ring, time.Time) {
	a := v.cached.Load()
	if a.until.IsZero() || now.Before(a.until) {
		return a.ring, a.until
	}
	v.mu.Lock()
	a = v.cached.Load() // another caller may have been here first
	if a.until.IsZero() || now.Before(a.until) {
		v.mu.Unlock()
		return a.ring, a.until
	}
	a = v.answer(now)
	v.settle(a)
	return a.ring, a.until
}

// settle makes an answer the one to give, and unlocks mu.
func (v *view) settle(a *answer) {
	v.cached.Store(a)
	note := v.note
	v.note = nil
	v.mu.Unlock()
	if note != nil {
		note()
	}
	v.tell()
}

// answer works out what to use, and until when.
func (v *view) answer(now time.Time) *answer {
	var live *keyring.Ring
	var until, stale time.Time
	if shared := v.held.ring; shared != nil {
		if v.outage == Keep {
			shared = shared.Unbounded()
		}
		live, until = shared.Live(v.held.seen, now)
		stale = shared.Stale(v.held.seen)
	}
	if live != nil && (stale.IsZero() || now.Before(stale)) {
		if v.local {
			// The own key stops sealing here; retired, it opens as long as any.
			v.turn(now)
			v.local = false
			v.note = func() {
				v.log.Info("sealing with the fleet's ring", zap.Uint64("version", live.Info().Version))
			}
		}
		until = sooner(until, stale)
		if own, ends := v.own.Live(v.since, now); own != nil && len(own.Info().Keys) > 2 {
			return &answer{ring: keyring.Join(live, own), until: sooner(until, ends)}
		}
		return &answer{ring: live, until: until}
	}

	due := func() time.Time { return v.own.Info().Policy.Due(v.own, v.since, now) }
	if !v.local {
		v.local = true
		v.note = v.staleNote()
	}
	if !now.Before(due()) {
		v.turn(now)
	}
	own, ends := v.own.Live(v.since, now)
	ends = sooner(ends, due())
	if live == nil && v.held.ring != nil {
		live = v.held.ring.Keyless() // it derives what the fleet does all the same
	}
	if live == nil {
		return &answer{ring: own, local: true, until: ends}
	}
	return &answer{ring: keyring.Join(own, live), local: true, until: sooner(ends, until)}
}

// turn rotates the own ring.
func (v *view) turn(now time.Time) {
	p := v.own.Info().Policy
	if v.held.ring != nil {
		p = v.held.ring.Info().Policy
		p.Manual = false
	}
	next, err := p.Next(v.own, v.since, now)
	if err != nil { // full, after many changes of policy: freshness goes before resumption
		next = p.First(0, 1, now)
	}
	v.own, v.since = next, now
}

// take makes ring, of which record is the digest, what the fleet uses. It was
// written at seen, which may be a guess.
func (v *view) take(ring *keyring.Ring, record digest, seen time.Time, guess bool) {
	now := time.Now()
	v.mu.Lock()
	info := ring.Info()
	h := held{
		ring: ring, digest: record, seen: seen, guess: guess, at: now, staged: now,
		wrote: info.Rotated.Add(info.Keys[0].Sealed),
	}
	if had := v.held; had.ring != nil {
		was := had.ring
		if v.outage == Keep {
			was = was.Unbounded()
		}
		// What was guessed by a clock is no promise that a key ends sooner than
		// its leader says.
		if !had.guess {
			h.ring = ring.Capped(was, had.seen, seen)
		}
		if stagedID(ring) == stagedID(had.ring) {
			h.staged = had.staged
		}
		if info.Epoch > had.ring.Info().Epoch {
			// A revoke means every key of before, this node's own too.
			v.own, v.since, v.local = v.policy.First(0, 1, now), now, false
		}
	}
	v.held = h
	a := v.answer(now)
	if a.local && v.note == nil {
		v.note = v.staleNote()
	}
	v.settle(a)
}

// staleNote says that the held ring is not sealed with.
func (v *view) staleNote() func() {
	version, stale := v.held.ring.Info().Version, v.held.ring.Stale(v.held.seen)
	return func() {
		v.log.Warn("sealing with an own key: the fleet's ring has not been rotated for too long",
			zap.Uint64("version", version), zap.Time("stale", stale))
	}
}

func (v *view) snapshot() (held, *answer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.held, v.cached.Load()
}

func (v *view) known() bool {
	h, _ := v.snapshot()
	return h.ring != nil
}

func stagedID(r *keyring.Ring) string {
	keys := r.Info().Keys
	return keys[len(keys)-1].ID
}

// sooner returns the earlier of two instants, of which zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
