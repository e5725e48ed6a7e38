package keyring

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// clocked is a node with a wall clock of its own. Its instants are base, plus
// the true time, plus how far its clock is off.
type clocked struct {
	off    time.Duration
	ring   *Ring
	seen   time.Time
	staged time.Time // since when it has known the staged key
}

func (n *clocked) now(at time.Duration) time.Time { return base.Add(at + n.off) }

// step sets the wall clock. What it measures by a monotonic clock stays as it is.
func (n *clocked) step(by time.Duration) {
	n.off += by
	n.seen, n.staged = n.seen.Add(by), n.staged.Add(by)
}

// take does with a record what a node does.
func (n *clocked) take(r *Ring, at time.Duration) {
	now := n.now(at)
	switch had := n.ring; {
	case had == nil:
		n.ring, n.seen, n.staged = r, r.Seen(now), now
	case had.info.Version < r.info.Version:
		if ids(had)[len(ids(had))-1] != ids(r)[len(ids(r))-1] {
			n.staged = now
		}
		n.ring, n.seen = r.Capped(had, n.seen, now), now
	}
}

// lead returns the record that a leader would write now, if any.
func (n *clocked) lead(t *testing.T, p Policy, at time.Duration) *Ring {
	now := n.now(at)
	if n.ring.info.Rotated.Sub(now) > p.Settle() {
		return p.Again(n.ring, n.ring.info.Version+1, n.seen, now)
	}
	if now.Before(p.Due(n.ring, n.seen, now)) || now.Before(n.staged.Add(p.Settle())) {
		return nil
	}
	r, err := p.Next(n.ring, n.seen, now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestMonth runs a fleet for 30 days of hourly rotations, through hand-overs,
// hours without a leader, restarts, slow watches, clocks that are a year off and
// clocks that jump. All the while any node opens what any other seals, and every
// key is opened for as long as it should be and not much longer.
func TestMonth(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { month(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func month(t *testing.T, rng *rand.Rand) {
	const (
		lag   = 50 * time.Second
		slack = 10 * time.Minute // for records that come late, passed on by those to whom they did
	)
	p := hourly
	every := func(d time.Duration) bool { return rng.Int64N(int64(d/time.Minute)) == 0 }
	upto := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }

	newest := p.First(1, 1, base)
	var fleet []*clocked
	for _, off := range []time.Duration{0, 20 * time.Second, -20 * time.Second, 3 * time.Hour, -3 * time.Hour, year, -year} {
		n := &clocked{off: off, ring: newest}
		n.seen, n.staged = n.now(0), n.now(0)
		fleet = append(fleet, n)
	}
	leader := fleet[0]
	arrives := map[*clocked]time.Duration{}
	ends := map[string]time.Duration{}
	var activated, idle, away, writer time.Duration
	rotations, early := 0, 1

	for at := time.Duration(0); at < 30*day; at += time.Minute {
		switch n := fleet[rng.IntN(len(fleet))]; {
		case every(3 * time.Hour):
			n.take(newest, at) // it looks before it leads
			leader, away = n, at+upto(5*time.Minute)
			early++
		case every(3 * day):
			away = at + upto(5*time.Hour)
		case every(day):
			n.step([]time.Duration{year, -year, 3 * time.Hour, -3 * time.Hour, time.Minute, -n.off}[rng.IntN(6)])
			early++
		// A restart believes the wall clocks; TestSeen has those that are off.
		case every(2*time.Hour) && n.off.Abs() < time.Minute && writer.Abs() < time.Minute:
			*n = clocked{off: n.off}
			n.take(newest, at)
		}
		for n, when := range arrives {
			if when <= at {
				n.take(newest, at)
				delete(arrives, n)
			}
		}
		if at < away {
			idle += time.Minute
			continue
		}
		leader.take(newest, at)
		if r := leader.lead(t, p, at); r != nil {
			if had := newest.active().ID; r.active().ID != had {
				if gap := at - activated - idle; gap > p.Interval+p.Settle()+lag {
					t.Errorf("%v: version %d seals since %v, without a leader for %v of it", at, newest.info.Version, at-activated, idle)
				}
				ends[had], activated, idle = at+p.Retirement(), at, 0
				rotations++
			}
			newest, writer = stored(t, r), leader.off
			leader.take(newest, at)
			for _, n := range fleet {
				if n != leader {
					arrives[n] = at + upto(lag)
				}
			}
			sharing(t, fleet, at)
		}
		if at%(15*time.Minute) == 0 {
			for i, live := range sharing(t, fleet, at) {
				have := ids(live)
				for id, end := range ends {
					switch has := slices.Contains(have, id); {
					case at < end && !has:
						t.Fatalf("%v: a node off by %v has lost key %s, want it until %v", at, fleet[i].off, id, end)
					case at > end+slack && has:
						t.Fatalf("%v: a node off by %v still opens key %s, want it until %v", at, fleet[i].off, id, end)
					}
				}
			}
		}
		for id, end := range ends {
			if at > end+time.Hour {
				delete(ends, id)
			}
		}
	}
	if least, most := 650, 720+early; rotations < least || rotations > most {
		t.Errorf("30 days made %d rotations, want %d to %d", rotations, least, most)
	}
	t.Logf("%d rotations, %d hand-overs and steps, version %d", rotations, early, newest.info.Version)
}

// stored returns r as its record has it.
func stored(t *testing.T, r *Ring) *Ring {
	t.Helper()
	b, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if r, err = Parse(b); err != nil {
		t.Fatal(err)
	}
	return r
}

// sharing checks that every node opens what any of them seals, and returns what
// each uses now.
func sharing(t *testing.T, fleet []*clocked, at time.Duration) []*Ring {
	t.Helper()
	var rings []*Ring
	var seals, opens [][][KeySize]byte
	for _, n := range fleet {
		live, _ := n.ring.Live(n.seen, n.now(at))
		keys := live.TicketKeys("")
		rings, seals, opens = append(rings, live), append(seals, keys[:1]), append(opens, keys)
	}
	for i := range fleet {
		for j := range fleet {
			if !slices.Contains(opens[i], seals[j][0]) {
				t.Fatalf("%v: a node off by %v does not open what one off by %v seals", at, fleet[i].off, fleet[j].off)
			}
		}
	}
	return rings
}
