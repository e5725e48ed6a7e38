package keyring

import (
	"strings"
	"testing"
	"time"
)

// In these tables the writer's clock reads base when it writes, and the reader's
// clock is off by what the case says. A wall clock that jumps while a monotonic
// one does not is the same case: seen and now move together past the stamp.

func TestDue(t *testing.T) {
	brisk := Policy{Interval: 10 * time.Minute, TicketLifetime: time.Hour}
	for _, c := range []struct {
		name      string
		policy    Policy
		sealed    time.Duration
		seen, now time.Duration
		want      time.Duration
	}{
		{"just written", hourly, 0, 0, 0, time.Hour},
		{"half an interval on", hourly, 0, 0, 30 * time.Minute, time.Hour},
		{"overdue", hourly, 0, 0, 3 * time.Hour, time.Hour},
		{"seen a minute late", hourly, 0, time.Minute, 10 * time.Minute, time.Hour},
		{"a minute behind", hourly, 0, -time.Minute, 29 * time.Minute, 59 * time.Minute},
		{"a year ahead", hourly, 0, year, year + 10*time.Minute, year + time.Hour},
		{"a year behind", hourly, 0, -year, -year + 10*time.Minute, -year + time.Hour},
		{"three hours ahead", hourly, 0, 3 * time.Hour, 3 * time.Hour, time.Hour},
		{"three hours behind", hourly, 0, -3 * time.Hour, -3 * time.Hour, -2 * time.Hour},
		{"ten intervals, believed", hourly, 0, 10 * time.Hour, 10 * time.Hour, time.Hour},
		{"past ten intervals, not", hourly, 0, 10*time.Hour + 1, 10*time.Hour + 1, 11*time.Hour + 1},
		{"a stamp of the future", hourly, 0, -1, -1, time.Hour - 1},
		{"after a restart", hourly, 0, 0, 5 * time.Hour, time.Hour},
		{"watched through a long outage", hourly, 0, 0, 20 * time.Hour, time.Hour},
		{"written again", hourly, 40 * time.Minute, 0, 10 * time.Minute, 20 * time.Minute},
		{"written again, a year ahead", hourly, 40 * time.Minute, year, year, year + 20*time.Minute},
		{"written again, a year behind", hourly, 40 * time.Minute, -year, -year, -year + 20*time.Minute},
		{"seen in the future", hourly, 0, 10 * time.Minute, 0, time.Hour},
		{"a shorter interval by now", brisk, 0, 0, 30 * time.Minute, 10 * time.Minute},
		{"a longer interval by now", weekly, 0, 0, 30 * time.Minute, 7 * day},
	} {
		r := known(hourly, c.sealed)
		got := c.policy.Due(r, base.Add(c.seen), base.Add(c.now))
		if want := base.Add(c.want); !got.Equal(want) {
			t.Errorf("%s: Due(sealed %v, seen %v, now %v) = %s, want %s", c.name, c.sealed, c.seen, c.now, offset(got), offset(want))
		}
	}
	if got := onorder.Due(known(hourly, 0), base, base.Add(year)); !got.IsZero() {
		t.Errorf("Due under a manual policy = %s, want never", offset(got))
	}
}

// TestDueOnce shows that a clock which is off costs one early rotation: after
// it the stamp is that clock's own.
func TestDueOnce(t *testing.T) {
	r, ahead := known(hourly, 0), base.Add(3*time.Hour)
	if due := hourly.Due(r, ahead, ahead); due.After(ahead) {
		t.Fatalf("Due three hours ahead = %s, want at once", offset(due))
	}
	n, err := hourly.Next(r, ahead, ahead)
	if err != nil {
		t.Fatal(err)
	}
	if due, want := hourly.Due(n, ahead, ahead), ahead.Add(time.Hour); !due.Equal(want) {
		t.Errorf("Due after that rotation = %s, want %s", offset(due), offset(want))
	}
}

func TestSeen(t *testing.T) {
	for _, c := range []struct {
		name      string
		sealed    time.Duration
		now, want time.Duration
	}{
		{"just written", 0, 0, 0},
		{"five hours ago", 0, 5 * time.Hour, 0},
		{"long ago", 0, 50 * time.Hour, 0},
		{"a stamp of the future", 0, -1, -1},
		{"a clock a year ahead", 0, year, 0},
		{"a clock a year behind", 0, -year, -year},
		{"written again just now", 30 * time.Minute, 0, 0},
		{"written again before", 30 * time.Minute, 20 * time.Minute, 0},
		{"written again by a clock ahead", 30 * time.Minute, -time.Minute, -time.Minute},
		{"written again after long", 300 * time.Hour, 9 * time.Hour, 0},
		{"the end of time", 0, 250 * year, 0},
	} {
		got := known(hourly, c.sealed).Seen(base.Add(c.now))
		if want := base.Add(c.want); !got.Equal(want) {
			t.Errorf("%s: Seen(%v) = %s, want %s", c.name, c.now, offset(got), offset(want))
		}
	}
	r := known(hourly, 70*year) // a difference of instants has bounds, which must not wrap
	r.info.Rotated = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	if got := r.Seen(base); !got.Equal(base) {
		t.Errorf("Seen(now) of a ring of the year 9999 = %s, want now", offset(got))
	}
}

func TestStale(t *testing.T) {
	slow := Policy{Interval: 12 * time.Hour, TicketLifetime: time.Hour}
	for _, c := range []struct {
		policy       Policy
		sealed, want time.Duration
	}{
		{hourly, 0, 12 * time.Hour},
		{slow, 0, 24 * time.Hour},
		{hourly, 5 * time.Hour, 7 * time.Hour},
		{hourly, 12 * time.Hour, 0},
		{hourly, 13 * time.Hour, -time.Hour},
	} {
		for _, seen := range []time.Duration{0, time.Minute, year, -year} {
			got := known(c.policy, c.sealed).Stale(base.Add(seen))
			if want := base.Add(seen + c.want); !got.Equal(want) {
				t.Errorf("%v sealed %v: Stale(%v) = %s, want %s", c.policy, c.sealed, seen, offset(got), offset(want))
			}
		}
	}
	if got := known(onorder, year).Stale(base); !got.IsZero() {
		t.Errorf("Stale of a manual ring = %s, want never", offset(got))
	}
}

// TestMonotonic shows that deadlines stay on the caller's monotonic clock, which
// no step of the wall clock moves, and that stamps never leave with a reading.
func TestMonotonic(t *testing.T) {
	now := time.Now()
	mono := func(t time.Time) bool { return strings.Contains(t.String(), "m=") }
	if !mono(now) {
		t.Fatal("the clock has no monotonic reading")
	}
	r := hourly.First(1, 1, now)
	_, next := r.Live(now, now)
	for name, at := range map[string]time.Time{
		"Seen": r.Seen(now.Add(time.Minute)), "Stale": r.Stale(now), "Due": hourly.Due(r, now, now), "Live": next,
	} {
		if !mono(at) {
			t.Errorf("%s = %s, want a monotonic reading", name, at)
		}
	}
	for name, at := range map[string]time.Time{
		"Rotated": r.Info().Rotated, "Created": r.Info().Keys[0].Created,
		"Again's Rotated": hourly.Again(r, 2, now, now).Info().Rotated,
	} {
		if mono(at) || at.Location() != time.UTC {
			t.Errorf("%s = %s, want a stamp in UTC", name, at)
		}
	}
}
