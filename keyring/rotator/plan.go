package rotator

import (
	"errors"
	"fmt"
	"time"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
)

// situation is all that a leader decides by.
type situation struct {
	policy   keyring.Policy // this leader's configuration
	held     held
	etcd     sighting
	keep     bool         // this node lets keys seal through an outage
	peers    keyring.Info // the newest ring that another live node reports
	newest   string       // the node that reports it
	vouched  bool         // another live node seals with the ring that is held
	requests []fleet.Request
	now      time.Time
}

// decision is one write, or a wait until an instant (zero is for news), or the
// end of the term.
type decision struct {
	ring    *keyring.Ring
	turned  bool // ring has another active key
	why     string
	request *fleet.Request // to answer in the same transaction
	refused string         // the answer, if no ring is written for it
	at      time.Time
	leave   error
}

var errYield = errors.New("rotator: leaving the lead to a node that knows better")

// plan is what a leader does next. It is a pure function.
func plan(s situation) decision {
	switch {
	case s.etcd.foreign():
		return decision{leave: s.etcd.refuse}
	case s.held.ring == nil && s.peers.Version > 0, s.held.ring != nil && s.peers.Compare(s.held.ring.Info()) > 0:
		return decision{leave: fmt.Errorf("%w: %s has epoch %d version %d", errYield, s.newest, s.peers.Epoch, s.peers.Version)}
	case s.held.ring == nil:
		return decision{ring: s.policy.First(1, 1, s.now), why: "first ring"}
	}
	ring, seen, now := s.held.ring, s.held.seen, s.now
	info := ring.Info()
	if s.keep {
		ring = ring.Unbounded()
	}
	version := max(info.Version, s.etcd.info.Version) + 1 // no peer reports a newer one
	again := func(why string) decision {
		return decision{ring: s.policy.Again(ring, version, seen, now), why: why}
	}
	if stale := ring.Stale(seen); s.held.guess && s.vouched && !stale.IsZero() && !now.Before(stale) {
		// One that has started with a wrong clock must not age the ring by it.
		// Where others take it for stale too, nobody vouches for it.
		return decision{leave: fmt.Errorf("%w: the ring is stale by this node's clock, and others use it", errYield)}
	}
	if live, _ := ring.Live(seen, now); live == nil { // even the staged key has had its time
		return decision{ring: s.policy.First(info.Epoch, version, now), turned: true, why: "fresh ring, the last one had died"}
	}
	if s.etcd.refuse != nil {
		return again("restored from memory")
	}
	if info.Rotated.Sub(now) > s.policy.Settle() {
		return again("stamp of the future mended")
	}

	wait := decision{}
	settled := s.held.staged.Add(s.policy.Settle())
	for i := range s.requests {
		q := &s.requests[i]
		if q.Answer != nil {
			continue
		}
		switch d := reply(s, ring, q, settled); {
		case !d.at.IsZero():
			wait.at = sooner(wait.at, d.at)
		default:
			return d
		}
	}

	due := sooner(s.policy.Due(ring, seen, now), info.Policy.Due(ring, seen, now))
	if due.IsZero() {
		return wait
	}
	if due.Before(settled) {
		due = settled
	}
	if !now.Before(due) {
		next, err := s.policy.Next(ring, seen, now)
		if err == nil {
			return decision{ring: next, turned: true, why: "rotated"}
		}
		if full := (*keyring.FullError)(nil); errors.As(err, &full) {
			due = full.At
		}
	}
	wait.at = sooner(wait.at, due)
	return wait
}

// reply decides one request: a write, a refusal, or a wait.
func reply(s situation, ring *keyring.Ring, q *fleet.Request, settled time.Time) decision {
	info := ring.Info()
	switch q.Op {
	case fleet.Revoke:
		return decision{ring: s.policy.First(info.Epoch+1, info.Version+1, s.now), turned: true, why: "revoked", request: q}
	case fleet.Rotate:
		if left := settled.Sub(s.now); left > 0 {
			if left.Seconds() <= q.Patience {
				return decision{at: settled}
			}
			return decision{request: q, refused: fmt.Sprintf(
				"the staged key has been known for %v and must be for %v, so that every node has it first; ask again at %s",
				(s.policy.Settle() - left).Round(time.Millisecond), s.policy.Settle(), settled.UTC().Format(time.RFC3339))}
		}
		next, err := s.policy.Next(ring, s.held.seen, s.now)
		if err != nil {
			return decision{request: q, refused: err.Error()}
		}
		return decision{ring: next, turned: true, why: "rotated on request", request: q}
	}
	return decision{request: q, refused: fmt.Sprintf("unknown operation %.40q: want %s or %s", q.Op, fleet.Rotate, fleet.Revoke)}
}
