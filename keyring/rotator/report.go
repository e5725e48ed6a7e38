package rotator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"

	"github.com/stekring/stekring/election"
	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/internal/jitter"
	"github.com/stekring/stekring/keyring"
)

// Cause is what kind of Problem there is. The zero Cause is none.
type Cause string

const (
	Unreachable Cause = "unreachable" // etcd does not answer, or with an error
	Stalled     Cause = "stalled"     // this node leads and cannot write
	Missing     Cause = "missing"     // etcd has no ring
	RolledBack  Cause = "rolled_back" // etcd has an older ring than this node
	Fork        Cause = "fork"        // etcd has another ring of the same version
	UnknownKEK  Cause = "unknown_kek" // this node lacks the KEK of the ring in etcd
	Format      Cause = "format"      // the ring in etcd is of a later version of this program
	Refused     Cause = "refused"     // what is in etcd is no ring, or was not sealed under its KEK
)

// Status is what a node knows of itself and the fleet's ring. It holds no
// secret.
type Status struct {
	Ring     string       `json:"ring"`
	ID       string       `json:"id"`
	Info     keyring.Info `json:"info"`             // the fleet's ring; version 0 before it is known
	Seen     time.Time    `json:"seen,omitzero"`    // since when its durations count
	Applied  time.Time    `json:"applied,omitzero"` // when this node took it
	LagMS    int64        `json:"lag_ms"`           // how long it had been written then, by the two clocks; -1 if this node was not there
	Due      time.Time    `json:"due,omitzero"`     // when its rotation is due; zero is on request only
	Stale    time.Time    `json:"stale,omitzero"`   // when its active key must stop sealing; zero is never
	Sealing  string       `json:"sealing"`          // id of the key that seals now
	Local    bool         `json:"local"`            // it is this node's own
	Leader   bool         `json:"leader"`
	Term     int64        `json:"term,omitempty"`    // the etcd revision at which it began
	Since    time.Time    `json:"since,omitzero"`    // when the term began
	Rotated  uint64       `json:"rotated"`           // rotations this node has committed, revokes included
	Heard    time.Time    `json:"heard,omitzero"`    // when etcd, being asked, last told what the fleet's ring is
	Problem  string       `json:"problem,omitempty"` // that etcd does not answer, or what it answers, why its ring is refused, or why this leader cannot write
	Cause    Cause        `json:"cause,omitempty"`   // what kind of problem that is
	Observer bool         `json:"observer"`
}

// Status returns what this node knows. It never blocks on etcd.
func (r *Rotator) Status() Status {
	r.Ring() // let what has expired go first
	h, a := r.view.snapshot()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Status{
		Ring: r.cfg.Ring, ID: r.cfg.ID, Observer: r.cfg.Observer,
		Applied: h.at, Seen: h.seen, Sealing: a.ring.Info().Keys[0].ID, Local: a.local, Rotated: r.rotated,
		Heard: r.heard, LagMS: -1,
	}
	if h.ring != nil {
		s.Info = h.ring.Info()
		s.Due = s.Info.Policy.Due(h.ring, h.seen, time.Now())
		if !h.guess {
			s.LagMS = max(0, h.at.Sub(h.wrote).Milliseconds())
		}
		if r.cfg.Outage == Local {
			s.Stale = h.ring.Stale(h.seen)
		}
	}
	if r.term != nil {
		s.Leader, s.Term, s.Since = true, r.term.Number(), r.since
	}
	switch {
	case r.link != nil:
		s.Cause, s.Problem = Unreachable, trouble(r.link)+": "+r.link.Error()
	case r.stall != nil:
		s.Cause, s.Problem = Stalled, "leading: "+r.stall.Error()
	case r.etcd.refuse != nil:
		s.Cause, s.Problem = r.etcd.cause(), r.etcd.refuse.Error()
	}
	s.Problem = fmt.Sprintf("%.1000s", s.Problem) // a report that is too long is none
	return s
}

// maxReasons is how many are logged of one time in which etcd lacks the report.
const maxReasons = 8

// numbers differ in a reason that is the same one again: ports, durations.
var numbers = regexp.MustCompile(`[0-9]+`)

// report keeps this node's report in etcd while it lives.
func (r *Rotator) report(ctx context.Context) {
	said := map[string]bool{} // since it was last there; etcd has several words for one thing, by turns
	for wait := (jitter.Backoff{}); ctx.Err() == nil && r.await(ctx, r.speaks) == nil; {
		if r.cfg.NoReports && jitter.Sleep(ctx, time.Second) == nil && !r.speaks() {
			continue // etcd had lost the ring for a moment, and all were to say so
		}
		err := election.Hold(ctx, r.cfg.Client, r.cfg.TTL, func(s *concurrency.Session) error {
			for last := ""; r.speaks(); {
				news := r.changes()
				now := r.describe()
				if now == last && !r.reported(s) {
					last = ""
				}
				if now != last {
					pctx, cancel := context.WithTimeout(s.Ctx(), fleet.Timeout)
					_, err := s.Client().Put(pctx, r.path.Node(r.cfg.ID), now, clientv3.WithLease(s.Lease()))
					cancel()
					if err != nil {
						return err
					}
					if last = now; len(said) > 0 {
						r.log.Info("reporting again")
						clear(said)
					}
					wait.Reset()
				}
				if err := pause(s.Ctx(), time.Now().Add(r.pollAfter()), news, nil); err != nil {
					return err
				}
				// Not all at once, and not while others are yet to get what this
				// node reports to have.
				if err := jitter.Sleep(s.Ctx(), min(time.Second, r.interval()*2/5)); err != nil {
					return err
				}
			}
			return nil
		})
		if ctx.Err() == nil && err != nil {
			// That the lease has ended is no reason yet; the next try finds one.
			if why := numbers.ReplaceAllString(fmt.Sprint(err), ""); !said[why] && len(said) < maxReasons && !errors.Is(err, context.Canceled) {
				r.log.Warn("etcd does not have this node's report; will try again", zap.String("key", r.path.Node(r.cfg.ID)), zap.Error(err))
				said[why] = true
			}
			_ = wait.Sleep(ctx, r.retry())
		}
	}
}

// speaks reports whether the fleet must hear of this node: always, or once it has
// led, and while it has what etcd lost or cannot read what etcd has.
func (r *Rotator) speaks() bool {
	known := r.view.known()
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.cfg.NoReports || r.led || r.etcd.foreign() || known && r.etcd.refuse != nil
}

// reported reports whether the node's report still stands. Somebody may have
// deleted it, or another node with the same id have written its own over it.
func (r *Rotator) reported(s *concurrency.Session) bool {
	ctx, cancel := context.WithTimeout(s.Ctx(), fleet.Timeout)
	defer cancel()
	got, err := s.Client().Get(ctx, r.path.Node(r.cfg.ID))
	switch {
	case err != nil:
		return true // as far as anybody knows
	case len(got.Kvs) == 0:
		return false
	case got.Kvs[0].Lease != int64(s.Lease()):
		r.log.Error("another node has the same id; give each its own", zap.String("id", r.cfg.ID))
		return false
	}
	return true
}

func (r *Rotator) describe() string {
	s := r.Status()
	_, policy := r.configured()
	b, err := json.Marshal(fleet.Node{
		ID: s.ID, Epoch: s.Info.Epoch, Version: s.Info.Version, Since: s.Applied.Round(0).UTC(),
		Leader: s.Leader, LeaderSince: s.Since.Round(0).UTC(), Local: s.Local, Problem: s.Problem,
		Policy: policy, Build: r.cfg.Build, Listeners: r.cfg.Listeners,
	})
	if err != nil {
		panic(err) // only for what JSON cannot say, and there is none of that
	}
	return string(b)
}
