package keyring

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// walk is a ring on its way through leaders, policies and delays, beside what
// the rules promise of it. Its leaders see every ring the moment it is written.
type walk struct {
	ring      *Ring
	policy    Policy // of the leader, for its next write
	seen, now time.Time

	active, staged string
	retired        []string // newest first
	until          map[string]time.Time
	known          map[string]bool
}

func newWalk(t *rapid.T) *walk {
	w := &walk{seen: base, now: base, until: map[string]time.Time{}, known: map[string]bool{}}
	w.elect(t)
	w.ring = w.policy.First(1, 1, base)
	w.active, w.staged = ids(w.ring)[0], ids(w.ring)[1]
	return w
}

// elect gives the ring a leader that may be configured in another way.
func (w *walk) elect(t *rapid.T) {
	w.policy = rapid.SampledFrom([]Policy{hourly, hasty, weekly, uneven, onorder}).Draw(t, "policy")
}

// wait lets time pass, often to where something changes.
func (w *walk) wait(t *rapid.T) {
	p := w.ring.info.Policy
	steps := []time.Duration{0, p.Settle(), p.Interval, p.sealing(), p.sealing() + 1, p.sealing() + p.Retirement() - 1, p.sealing() + p.Retirement()}
	if rapid.Bool().Draw(t, "odd") {
		steps = []time.Duration{draw(t, "pause", 0, 3*p.sealing())}
	}
	w.now = w.now.Add(rapid.SampledFrom(steps).Draw(t, "step"))
}

func (w *walk) next(t *rapid.T) {
	n, err := w.policy.Next(w.ring, w.seen, w.now)
	if e, ok := errors.AsType[*FullError](err); ok {
		if len(w.ring.info.Keys) < MaxKeys || !w.now.Before(e.At) {
			t.Fatalf("Next of %d keys at %s = %v", len(w.ring.info.Keys), offset(w.now), err)
		}
		roomAt(t, w.policy, w.ring, w.seen, e.At)
		return
	} else if err != nil {
		t.Fatal(err)
	}
	stopped := w.now
	if stale := w.ring.Stale(w.seen); !stale.IsZero() && stale.Before(stopped) {
		stopped = stale
	}
	ends := stopped.Add(w.policy.Retirement())
	if !opens(w.ring, n) {
		t.Fatalf("version %d does not open what %d seals", w.ring.info.Version, n.info.Version)
	}
	if had := opens(n, w.ring); had != ends.After(w.now) {
		t.Fatalf("version %d opens what %d seals: %v, want until %s", n.info.Version, w.ring.info.Version, had, offset(ends))
	}
	w.until[w.active], w.retired = ends, append([]string{w.active}, w.retired...)
	w.active, w.staged = w.staged, ids(n)[len(n.info.Keys)-1]
	if w.known[w.staged] {
		t.Fatalf("staged key %s has been in the ring before", w.staged)
	}
	w.commit(n)
}

func (w *walk) again(t *rapid.T) {
	n := w.policy.Again(w.ring, w.ring.info.Version+1, w.seen, w.now)
	if !opens(n, w.ring) || !opens(w.ring, n) {
		t.Fatalf("%v and %v do not open what the other seals", w.ring, n)
	}
	if was, is := w.ring.sealed(w.seen, w.now), n.sealed(w.now, w.now); is != was {
		t.Fatalf("the active key has sealed for %v when written again, want %v", is, was)
	}
	w.commit(n)
}

func (w *walk) commit(n *Ring) { w.ring, w.seen = n, w.now }

// store hands the ring over through etcd.
func (w *walk) store(t *rapid.T) {
	b, err := w.ring.Marshal()
	if err != nil {
		t.Fatalf("Marshal of %v = %v", w.ring, err)
	}
	n, err := Parse(b)
	if err != nil {
		t.Fatalf("Parse of %v = %v", w.ring, err)
	}
	if got, want := n.Info(), inMillis(w.ring); !reflect.DeepEqual(got, want) {
		t.Fatalf("Parse(Marshal) = %+v, want %+v", got, want)
	}
	if !slices.Equal(n.TicketKeys(""), w.ring.TicketKeys("")) {
		t.Fatalf("Parse(Marshal) of %v has other keys", w.ring)
	}
	w.ring = n
}

// inMillis returns what a record says of r: creation to the millisecond.
func inMillis(r *Ring) Info {
	i := r.Info()
	for n := range i.Keys {
		k := &i.Keys[n]
		k.Created, k.Activated = k.Created.Truncate(time.Millisecond), k.Activated.Truncate(time.Millisecond)
	}
	return i
}

// check holds the ring to the order, to its size and to what each key has left.
func (w *walk) check(t *rapid.T) {
	alive := func(at time.Time) []string {
		want := []string{w.active}
		for _, id := range w.retired {
			if w.until[id].After(at) {
				want = append(want, id)
			}
		}
		return append(want, w.staged)
	}
	if got, want := ids(w.ring), alive(w.seen); !slices.Equal(got, want) || len(got) > MaxKeys {
		t.Fatalf("version %d has %v, want %v", w.ring.info.Version, got, want)
	}
	for i, k := range w.ring.info.Keys {
		w.known[k.ID] = true
		role := Retired
		switch i {
		case 0:
			role = Active
		case len(w.ring.info.Keys) - 1:
			role = Staged
		}
		if k.Role != role || (role != Active && k.Sealed != 0) || (role != Retired && k.Left != 0) {
			t.Fatalf("key %d of %d is %+v, want it %v", i, len(w.ring.info.Keys), k, role)
		}
		if ends := w.seen.Add(k.Left); role == Retired && !ends.Equal(w.until[k.ID]) {
			t.Fatalf("key %s opens until %s, want %s", k.ID, offset(ends), offset(w.until[k.ID]))
		}
	}
	if live, _ := w.ring.Live(w.seen, w.now); live != nil && !slices.Equal(ids(live), alive(w.now)) {
		t.Fatalf("Live at %s = %v, want %v", offset(w.now), ids(live), alive(w.now))
	}
}

// TestWalk takes rings through random lives and holds each to the rules: any two
// versions at most one rotation apart open each other's tickets, a key retires
// for exactly as long as it should however many leaders and records it passes,
// the order stands, and no ring is ever too large or not fit to be stored.
func TestWalk(t *testing.T) {
	most := 0
	rapid.Check(t, func(t *rapid.T) {
		w := newWalk(t)
		t.Repeat(map[string]func(*rapid.T){
			"":       w.check,
			"wait":   w.wait,
			"next":   w.next,
			"rotate": func(t *rapid.T) { w.wait(t); w.next(t) },
			"burst": func(t *rapid.T) {
				for range rapid.IntRange(1, MaxKeys).Draw(t, "requests") {
					w.now = w.now.Add(w.ring.info.Policy.Settle())
					w.next(t)
					w.check(t)
				}
			},
			"again": func(t *rapid.T) { w.wait(t); w.again(t) },
			"store": w.store,
			"elect": w.elect,
		})
		most = max(most, len(w.ring.info.Keys))
	})
	t.Logf("the largest ring had %d keys", most)
}
