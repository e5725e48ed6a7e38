package keyring

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestCapped(t *testing.T) {
	const h = time.Hour
	// turned is known(p, …) after a rotation: key-0 has retired.
	turned := func(p Policy, left ...time.Duration) *Ring {
		r := known(p, 0, left...)
		r.info.Keys[0].ID, r.info.Keys[1].ID = "key-9", "key-0"
		return r
	}
	for _, c := range []struct {
		name      string
		rec, have *Ring
		now       time.Duration // after have was seen
		sealed    time.Duration
		left      []time.Duration
	}{
		{"in time", turned(hourly, 13*h), known(hourly, 0), h, 0, []time.Duration{13 * h}},
		{"as late as can be", turned(hourly, 13*h), known(hourly, 0), 12 * h, 0, []time.Duration{13 * h}},
		{"late for what sealed", turned(hourly, 13*h), known(hourly, 0), 12*h + 1, 0, []time.Duration{13*h - 1}},
		{"late for ever", turned(hourly, 13*h), known(hourly, 0), year, 0, []time.Duration{0}},
		{"sealed before", turned(hourly, 13*h), known(hourly, 5*h), 12 * h, 0, []time.Duration{8 * h}},
		{"promised by a shorter policy", turned(weekly, 14*day), known(hourly, 0), h, 0, []time.Duration{24 * h}},
		{"may seal for ever", turned(hourly, 13*h), known(onorder, 0), year, 0, []time.Duration{13 * h}},

		{"retired, in time", known(hourly, 0, 2*h), known(hourly, 0, 3*h), h, h, []time.Duration{2 * h}},
		{"retired, late", known(hourly, h, 2*h), known(hourly, 0, 3*h), h + 1, h + 1, []time.Duration{2*h - 1}},
		{"retired, gone", known(hourly, 4*h, 2*h), known(hourly, 0, 3*h), 4 * h, 4 * h, []time.Duration{0}},
		{"retired, by a clock gone back", known(hourly, 0, 2*h), known(hourly, 0, h), -year, 0, []time.Duration{h}},
		{"written again, in time", known(hourly, 3*h), known(hourly, 0), 3 * h, 3 * h, nil},
		{"written again, late", known(hourly, 3*h), known(hourly, h), 3 * h, 4 * h, nil},
		{"unknown before", turned(hourly, 13*h, 12*h, 11*h), known(hourly, 0, 3*h), 13 * h, 0, []time.Duration{12 * h, 12 * h, 11 * h}},
	} {
		for _, seen := range []time.Duration{0, year, -year} {
			seen := base.Add(seen)
			before := c.rec.Info()
			got := c.rec.Capped(c.have, seen, seen.Add(c.now))
			keys := got.Info().Keys
			var left []time.Duration
			for _, k := range keys[1 : len(keys)-1] {
				left = append(left, k.Left)
			}
			if keys[0].Sealed != c.sealed || !slices.Equal(left, c.left) {
				t.Errorf("%s: Capped = sealed %v, left %v, want %v, %v", c.name, keys[0].Sealed, left, c.sealed, c.left)
			}
			if same := reflect.DeepEqual(got.Info(), before); same != (got == c.rec) {
				t.Errorf("%s: Capped changed nothing: %v, returned the same pointer: %v, want both or neither", c.name, same, got == c.rec)
			}
			if !reflect.DeepEqual(c.rec.Info(), before) || !slices.Equal(got.TicketKeys(""), c.rec.TicketKeys("")) {
				t.Errorf("%s: Capped changed the ring it was asked of, or its keys", c.name)
			}
		}
	}
}

func TestUnbounded(t *testing.T) {
	r := known(hourly, 20*time.Hour, time.Hour)
	u := r.Unbounded()
	if stale := u.Stale(base); !stale.IsZero() {
		t.Errorf("Unbounded().Stale = %s, want never", offset(stale))
	}
	live, next := u.Live(base, base.Add(year))
	if want := []string{"key-0", "key-2"}; live == nil || !slices.Equal(ids(live), want) || !next.IsZero() {
		t.Errorf("Unbounded().Live(a year on) = %v, %s, want %v for ever", live, offset(next), want)
	}
	if r.Info().Policy.Manual {
		t.Error("Unbounded changed the ring it was asked of")
	}
}

// reader is a node that follows a ring by durations alone.
type reader struct {
	ring *Ring
	seen time.Time
	ends map[string]time.Time // when it will have forgotten each key
}

// take does with a record what a node does.
func (n *reader) take(t *rapid.T, r *Ring, now time.Time) {
	c := r
	if n.ring != nil {
		c = r.Capped(n.ring, n.seen, now)
	}
	for i, k := range c.info.Keys {
		if had := r.info.Keys[i]; k.ID != had.ID || k.Left > had.Left || k.Sealed < had.Sealed {
			t.Fatalf("Capped made key %+v into %+v", had, k)
		}
		ends := now.Add(k.Left)
		switch {
		case k.Role == Staged, k.Role == Retired && k.Left == 0:
			continue
		case k.Role == Active:
			ends = c.Stale(now).Add(c.info.Policy.Retirement())
		}
		if had, ok := n.ends[k.ID]; ok && ends.After(had) {
			t.Fatalf("version %d: key %s ends at %s, and had been promised to at %s", c.info.Version, k.ID, offset(ends), offset(had))
		}
		n.ends[k.ID] = ends
	}
	n.ring, n.seen = c, now
}

// TestHandovers rotates a ring under ever-changing leaders, to each of which
// every record is late. However many they are, no node lets a key go before its
// time, none sees a deadline move out, and all have let it go soon after.
func TestHandovers(t *testing.T) {
	const nodes, lag = 4, 10 * time.Minute
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom([]Policy{hourly, uneven}).Draw(t, "policy")
		fleet := make([]*reader, nodes)
		for i := range fleet {
			fleet[i] = &reader{ends: map[string]time.Time{}}
		}
		now, newest := base, p.First(1, 1, base)
		activated, ends := base, map[string]time.Time{}
		for range 40 {
			written := now
			// Each node learns of a record late, or of the one after it.
			for i, n := range fleet {
				if behind := draw(t, "behind", 0, lag); i == 0 || behind < lag {
					n.take(t, newest, written.Add(behind))
				}
			}
			// The next leader has caught up before it leads.
			leader := rapid.SampledFrom(fleet).Draw(t, "leader")
			if now = written.Add(lag); leader.ring == nil || leader.ring.info.Version < newest.info.Version {
				leader.take(t, newest, now)
			}
			now = now.Add(draw(t, "pause", 0, 2*p.sealing()))
			if rapid.IntRange(0, 3).Draw(t, "again") == 0 {
				newest = p.Again(leader.ring, newest.info.Version+1, leader.seen, now)
			} else if next, err := p.Next(leader.ring, leader.seen, now); err == nil {
				stopped := now
				if stale := activated.Add(p.sealing()); stale.Before(now) {
					stopped = stale
				}
				ends[newest.active().ID] = stopped.Add(p.Retirement())
				newest, activated = next, now
			}
			leader.take(t, newest, now)
			for id, end := range ends {
				listed := slices.Contains(ids(newest), id)
				if at := leader.ends[id]; end.After(now) && (!listed || at.Before(end)) {
					t.Fatalf("version %d: key %s (listed: %v) ends at %s, want not before %s", newest.info.Version, id, listed, offset(at), offset(end))
				}
				for _, n := range fleet {
					retired := n.ring != nil && slices.Contains(ids(n.ring)[1:], id)
					if at := n.ends[id]; retired && at.After(end.Add(2*nodes*lag)) {
						t.Fatalf("version %d: key %s ends at %s, want by %s and a little", newest.info.Version, id, offset(at), offset(end))
					}
				}
			}
		}
	})
}
