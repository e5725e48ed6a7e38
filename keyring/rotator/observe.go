package rotator

import (
	"crypto/sha256"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/seal"
)

type digest [sha256.Size]byte

// sighting is what etcd held when this node last looked.
type sighting struct {
	looked bool  // at all
	at     int64 // the etcd revision of the look
	rev    int64 // the ring's ModRevision; 0 is no ring
	record digest
	info   keyring.Info // of a ring that could be opened
	refuse error        // why this node does not use it
	kek    *seal.KEK    // by which it was opened, or was not
}

// Why a ring that can be opened, or is not there, is not used.
var (
	errMissing    = errors.New("rotator: etcd has no ring")
	errRolledBack = errors.New("rotator: etcd went back to an older ring")
	errFork       = errors.New("rotator: etcd has another ring of the same version")
)

// foreign reports whether only other nodes may touch what etcd has.
func (s sighting) foreign() bool {
	return errors.Is(s.refuse, seal.ErrUnknownKEK) || errors.Is(s.refuse, seal.ErrFormat)
}

// cause is why this node does not use what etcd has, in a word.
func (s sighting) cause() Cause {
	switch {
	case errors.Is(s.refuse, errMissing):
		return Missing
	case errors.Is(s.refuse, errRolledBack):
		return RolledBack
	case errors.Is(s.refuse, errFork):
		return Fork
	case errors.Is(s.refuse, seal.ErrUnknownKEK):
		return UnknownKEK
	case errors.Is(s.refuse, seal.ErrFormat):
		return Format
	}
	return Refused
}

// observe takes in what etcd held at a revision: a record and its ModRevision,
// or none. Only a newer ring is ever taken; anything else leaves the last good
// one in use. The caller holds reading, and has since before it asked etcd, so
// that what seems older is older.
func (r *Rotator) observe(rec []byte, rev, at int64) {
	last := r.sighted()
	kek, _ := r.configured()
	s := sighting{looked: true, at: at, rev: rev, record: sha256.Sum256(rec), kek: kek}
	if last.looked && last.kek == kek && last.rev == rev && last.record == s.record {
		s.info, s.refuse = last.info, last.refuse
		r.sight(s)
		return
	}
	have, _ := r.view.snapshot()
	var ring *keyring.Ring
	if rev == 0 {
		s.refuse = errMissing
	} else if ring, s.refuse = kek.Open(r.path.Ring(), rec); s.refuse == nil {
		s.info = ring.Info()
		if have.ring != nil {
			switch c := s.info.Compare(have.ring.Info()); {
			case c < 0:
				s.refuse = errRolledBack
			case c == 0 && s.record != have.digest:
				s.refuse = errFork
			case c == 0:
				ring = nil // have it
			}
		}
	}
	r.sight(s)
	if s.refuse == nil && last.refuse != nil && (have.ring != nil || last.refuse != errMissing) {
		r.log.Info("ring in etcd accepted again", zap.Int64("revision", rev))
	}
	switch {
	case s.refuse == errMissing && have.ring == nil:
		r.log.Info("etcd has no ring yet", zap.String("key", r.path.Ring()))
	case s.refuse != nil:
		r.refused(s)
	case ring != nil:
		seen, guess := r.written(ring, time.Now())
		r.view.take(ring, s.record, seen, guess)
		r.log.Info("ring applied", zap.Uint64("epoch", s.info.Epoch), zap.Uint64("version", s.info.Version),
			zap.String("active", s.info.Keys[0].ID), zap.Int("keys", len(s.info.Keys)))
		return // take has told
	}
	r.tell()
}

// sight notes what etcd has.
func (r *Rotator) sight(s sighting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.etcd = s
}

// asked notes that etcd, being asked, has just told what the fleet's ring is. A
// watch does not tell: after a gap it begins with what happened in it. Nor does
// what is refused, or missing: whoever can put that can put an old ring after it.
func (r *Rotator) asked() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.etcd.refuse == nil {
		r.heard = time.Now()
	}
}

// written returns when a ring must be taken to have been written that arrives
// at now, and whether that is a guess. Who follows without a gap sees it at once.
// Who was away has the stamp to go by, but never for longer than it was away.
func (r *Rotator) written(ring *keyring.Ring, now time.Time) (seen time.Time, guess bool) {
	r.mu.Lock()
	heard := r.heard
	r.mu.Unlock()
	if !heard.IsZero() && now.Sub(heard) <= 2*r.interval()+fleet.Timeout {
		return now, false
	}
	if seen = ring.Seen(now); seen.Before(heard) {
		seen = heard
	}
	return seen, true
}

// refused logs why the ring in etcd is not used; somebody who writes garbage
// does not fill the log with it.
func (r *Rotator) refused(s sighting) {
	r.mu.Lock()
	quiet := time.Since(r.loud) < 10*time.Second
	if !quiet {
		r.loud = time.Now()
	}
	r.mu.Unlock()
	if quiet {
		return
	}
	r.log.Error("ring in etcd refused", zap.String("serving_with", r.instead()), zap.String("key", r.path.Ring()),
		zap.Int64("revision", s.rev), zap.Error(s.refuse))
}

func (r *Rotator) sighted() sighting {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.etcd
}
