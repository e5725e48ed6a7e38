package keyring

import (
	"errors"
	"testing"
	"time"
)

// full returns a ring of MaxKeys keys, whose active one just became so under p,
// and whose retired ones go minute by minute from left on.
func full(p Policy, left time.Duration) *Ring {
	var lefts []time.Duration
	for i := range MaxKeys - 2 {
		lefts = append(lefts, left+time.Duration(i)*time.Minute)
	}
	lefts[0], lefts[7] = lefts[7], lefts[0] // the first to go need not be the last in order
	return known(p, 0, lefts...)
}

func TestFullError(t *testing.T) {
	weeklyOnOrder := weekly
	weeklyOnOrder.Manual = true
	for _, c := range []struct {
		name      string
		ring      *Ring
		by        Policy
		now, want time.Duration
	}{
		{"rotated on request too often", full(hourly, 11*time.Hour), hourly, time.Minute, 11 * time.Hour},
		{"asked by a leader of a shorter policy", full(weekly, time.Hour), hasty, 0, time.Hour},
		{"the active key goes first", full(hasty, 14*day), hasty, 0, 4 * time.Second},
		{"the active key goes first, overdue", full(hasty, 14*day), hasty, 3 * time.Second, 4 * time.Second},
		{"the active key goes first, by a longer policy", full(hasty, 14*day), hourly, 0, 13*time.Hour + 2*time.Second},
		{"the active key may seal for ever", full(weeklyOnOrder, 13*day), hasty, 0, 13 * day},
	} {
		for _, seen := range []time.Duration{0, year, -year} {
			seen := base.Add(seen)
			_, err := c.by.Next(c.ring, seen, seen.Add(c.now))
			e, ok := errors.AsType[*FullError](err)
			if !ok || !e.At.Equal(seen.Add(c.want)) {
				t.Errorf("%s: Next = %v, want room %v after it was seen", c.name, err, c.want)
				continue
			}
			roomAt(t, c.by, c.ring, seen, e.At)
		}
	}
}

// roomAt checks that r has room for a rotation at that instant and none before.
func roomAt(t interface {
	Helper()
	Errorf(string, ...any)
}, p Policy, r *Ring, seen, at time.Time) {
	t.Helper()
	_, err := p.Next(r, seen, at.Add(-1))
	if e, ok := errors.AsType[*FullError](err); !ok || !e.At.Equal(at) {
		t.Errorf("Next just before %s = %v, want no room until then", offset(at), err)
	}
	n, err := p.Next(r, seen, at)
	if err != nil {
		t.Errorf("Next at %s = %v, want a ring", offset(at), err)
	} else if got := len(n.Info().Keys); got > MaxKeys {
		t.Errorf("Next at %s = %d keys, want at most %d", offset(at), got, MaxKeys)
	}
}

func TestFullErrorText(t *testing.T) {
	err := &FullError{At: base.In(time.FixedZone("", 3600))}
	if got, want := err.Error(), "keyring: a rotation would need more than 32 keys; there is room at 2026-03-01T12:00:00Z"; got != want {
		t.Errorf("FullError.Error() = %q, want %q", got, want)
	}
}
