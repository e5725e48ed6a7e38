package rotator

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/seal"
)

// TestStatusHasACauseForEveryProblem has a node that holds epoch 2 version 41
// meet each of them.
func TestStatusHasACauseForEveryProblem(t *testing.T) {
	record := func(r *Rotator, kek *seal.KEK, epoch, version uint64) []byte {
		return sealed(t, kek, r.path.Ring(), hourly.First(epoch, version, time.Now()))
	}
	for want, meet := range map[Cause]func(r *Rotator){
		"":          func(r *Rotator) { r.sees(record(r, r.cfg.KEK, 2, 42), 8) },
		Unreachable: func(r *Rotator) { r.linked(errors.New("no route")) },
		Stalled:     func(r *Rotator) { r.stalled(errors.New("no space")) },
		Missing:     func(r *Rotator) { r.sees(nil, 8) },
		RolledBack:  func(r *Rotator) { r.sees(record(r, r.cfg.KEK, 1, 99), 8) },
		Fork:        func(r *Rotator) { r.sees(record(r, r.cfg.KEK, 2, 41), 8) },
		UnknownKEK:  func(r *Rotator) { r.sees(record(r, seal.NewKEK(), 2, 42), 8) },
		Format: func(r *Rotator) {
			rec := record(r, r.cfg.KEK, 2, 42)
			rec[len("STEKRING")] = 9
			r.sees(rec, 8)
		},
		Refused: func(r *Rotator) { r.sees([]byte("garbage"), 8) },
	} {
		r := unconnected(t)
		r.sees(record(r, r.cfg.KEK, 2, 41), 7)
		meet(r)
		if s := r.Status(); s.Cause != want || (s.Problem == "") != (want == "") {
			t.Errorf("cause %q of problem %q, want %q", s.Cause, s.Problem, want)
		}
	}

	// Reports of more than 8 KiB are none.
	long := unconnected(t)
	long.linked(errors.New(strings.Repeat("x", 1<<20)))
	if got := len(long.Status().Problem); got > 1000 {
		t.Errorf("a problem of %d bytes, want 1000 at most", got)
	}

	// One problem is shown at a time: that which the others may come from.
	r := unconnected(t)
	r.sees(nil, 7)
	r.stalled(errors.New("no space"))
	if got := r.Status().Cause; got != Stalled {
		t.Errorf("cause %q of a leader that cannot write a ring that is missing, want %q", got, Stalled)
	}
	r.linked(errors.New("no route"))
	if got := r.Status().Cause; got != Unreachable {
		t.Errorf("cause %q where etcd does not answer either, want %q", got, Unreachable)
	}
}

// TestStatusTimes is what a node says of when things were, and will be.
func TestStatusTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := unconnected(t)
		rev := int64(0)
		sees := func(ring *keyring.Ring) {
			rev++
			r.sees(sealed(t, r.cfg.KEK, r.path.Ring(), ring), rev)
		}
		want := func(what string, lag time.Duration, due, heard time.Time) {
			t.Helper()
			s := r.Status()
			if s.LagMS != lag.Milliseconds() || !s.Due.Equal(due) || !s.Heard.Equal(heard) {
				t.Errorf("%s: lag %d ms, due %v, heard %v; want %d ms, %v, %v",
					what, s.LagMS, s.Due, s.Heard, lag.Milliseconds(), due, heard)
			}
		}
		const unknown = -time.Millisecond
		ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
		in := func(d time.Duration) time.Time { return time.Now().Add(d) }

		want("at first", unknown, time.Time{}, time.Time{})
		first := hourly.First(1, 1, ago(5*time.Minute))
		sees(first)
		want("started", unknown, in(55*time.Minute), time.Time{})
		r.asked()
		heard := time.Now()
		want("asked", unknown, in(55*time.Minute), heard)

		time.Sleep(10 * time.Second)
		sees(hourly.First(1, 2, ago(3*time.Second)))
		want("followed", 3*time.Second, in(time.Hour-3*time.Second), heard)
		sees(hourly.First(1, 3, in(time.Minute)))
		want("written by a clock that is ahead", 0, in(time.Hour), heard)
		old := hourly.First(1, 3, ago(20*time.Minute))
		sees(hourly.Again(old, 4, ago(20*time.Minute), ago(2*time.Second)))
		want("written again", 2*time.Second, in(40*time.Minute), heard)
		manual := hourly
		manual.Manual = true
		sees(manual.First(1, 5, time.Now()))
		want("rotated on request only", 0, time.Time{}, heard)

		rev++
		r.sees([]byte("garbage"), rev)
		r.asked()
		want("refused", 0, time.Time{}, heard)
		time.Sleep(2*r.interval() + fleet.Timeout)
		sees(hourly.First(1, 6, time.Now()))
		want("away", unknown, in(time.Hour), heard)
	})
}
