package keyring

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestLive(t *testing.T) {
	all := []string{"key-0", "key-1", "key-2", "key-3", "key-4"}
	one := []string{"key-0", "key-1", "key-2", "key-4"}
	two := []string{"key-0", "key-1", "key-4"}
	none := []string{"key-0", "key-4"}
	const h, never = time.Hour, -1
	for _, c := range []struct {
		policy    Policy
		sealed    time.Duration
		now, next time.Duration
		want      []string // nil is no ring
	}{
		{hourly, 0, -year, h, all},
		{hourly, 0, 0, h, all},
		{hourly, 0, h - 1, h, all},
		{hourly, 0, h, 12 * h, one},
		{hourly, 0, 12*h - 1, 12 * h, one},
		{hourly, 0, 12 * h, 13 * h, two},
		{hourly, 0, 13 * h, 25 * h, none},
		{hourly, 0, 25*h - 1, 25 * h, none},
		{hourly, 0, 25 * h, never, nil},
		{hourly, 0, year, never, nil},
		{hourly, 24 * h, 0, h, all},
		{hourly, 24 * h, h, never, nil},
		{hourly, 24*h + 30*time.Minute, 0, 30 * time.Minute, all},
		{onorder, 0, 12 * h, 13 * h, two},
		{onorder, year, year, never, none},
	} {
		for _, seen := range []time.Duration{0, year, -year} {
			r := known(c.policy, c.sealed, 13*h, 12*h, h)
			got, next := r.Live(base.Add(seen), base.Add(seen+c.now))
			var have []string
			if got != nil {
				have = ids(got)
			}
			want := time.Time{}
			if c.next != never {
				want = base.Add(seen + c.next)
			}
			if !slices.Equal(have, c.want) || !next.Equal(want) {
				t.Errorf("%v sealed %v: Live(%v, %v later) = %v, %s, want %v, %s",
					c.policy, c.sealed, seen, c.now, have, offset(next), c.want, offset(want))
			}
			if len(c.want) == len(all) && got != r {
				t.Errorf("Live(%v, %v later) is another ring, want the same pointer for the same keys", seen, c.now)
			}
		}
	}
}

// TestLiveKeepsSecrets shows that each key keeps its secret when others go, and
// that the ring it was asked of keeps all.
func TestLiveKeepsSecrets(t *testing.T) {
	r := known(hourly, 0, 3*time.Hour, time.Hour, 2*time.Hour)
	live, _ := r.Live(base, base.Add(time.Hour))
	want := [][KeySize]byte{testKey(0), testKey(1), testKey(3), testKey(4)}
	if got := live.TicketKeys(""); !slices.Equal(got, want) {
		t.Errorf("Live keys = %q, want %q", got, want)
	}
	if n := len(r.TicketKeys("")); n != 5 || len(r.Info().Keys) != 5 {
		t.Errorf("the ring has %d keys after Live, want 5", n)
	}
}

// TestLiveNext holds Live's second result to its word: nothing changes before
// that instant, and something does at it.
func TestLiveNext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom([]Policy{hourly, hasty, weekly, uneven, onorder}).Draw(t, "policy")
		r := known(p, draw(t, "sealed", 0, 30*time.Hour), rapid.SliceOfN(
			rapid.Custom(func(t *rapid.T) time.Duration { return draw(t, "left", 1, 14*day) }), 0, MaxKeys-2).Draw(t, "lefts")...)
		seen := base.Add(draw(t, "seen", -year, year))
		now := seen
		for range MaxKeys {
			live, next := r.Live(seen, now)
			if live == nil {
				return
			}
			if live != r && slices.Equal(ids(live), ids(r)) {
				t.Fatalf("Live(%s) is another ring of the same keys", offset(now))
			}
			if again, _ := live.Live(seen, now); again != live {
				t.Fatalf("Live(%s) of its own result = %v, want the same pointer", offset(now), ids(again))
			}
			if next.IsZero() {
				if later, _ := r.Live(seen, now.Add(100*year)); later == nil || !slices.Equal(ids(later), ids(live)) {
					t.Fatalf("Live(%s) said never, and a century later %v differs from %v", offset(now), later, ids(live))
				}
				return
			}
			if !now.Before(next) {
				t.Fatalf("Live(%s) = %s, want a later instant", offset(now), offset(next))
			}
			for _, at := range []time.Time{now.Add(draw(t, "pause", 0, next.Sub(now)-1)), next.Add(-1)} {
				if before, n := r.Live(seen, at); before == nil || !slices.Equal(ids(before), ids(live)) || !n.Equal(next) {
					t.Fatalf("Live(%s) = %v, %s, want %v until %s", offset(at), before, offset(n), ids(live), offset(next))
				}
			}
			if then, _ := r.Live(seen, next); then != nil && len(ids(then)) >= len(ids(live)) {
				t.Fatalf("Live(%s) = %v, want fewer than %v", offset(next), ids(then), ids(live))
			}
			now = next
		}
		t.Fatal("Live never came to an end")
	})
}

// draw picks a duration; its bounds are likely.
func draw(t *rapid.T, label string, low, high time.Duration) time.Duration {
	return rapid.OneOf(rapid.Just(low), rapid.Just(high),
		rapid.Map(rapid.Int64Range(int64(low), int64(high)), func(n int64) time.Duration { return time.Duration(n) }),
	).Draw(t, label)
}
