package demo

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
)

// tracker watches the nodes and kills leaders. Its look is called by one
// goroutine.
type tracker struct {
	demo     *demo
	statuses []rotator.Status // by place; ID "" is down

	history  chan keyring.Info // every version, as etcd has it
	versions map[uint64]*version
	next     uint64 // the version to announce next
	leader   string
	term     int64
	applied  []time.Duration // from the first node's apply to each other's

	rotations, failovers int
	failoverMax          time.Duration
	killed               time.Time // of a leader whose successor is awaited
	killAt               time.Time

	mu      sync.Mutex // guards the rest
	epoch   uint64
	since   time.Time // when every live node had the epoch; zero while some have not
	revival sync.WaitGroup
}

// version is one committed ring, as the nodes came to have it.
type version struct {
	info keyring.Info
	at   map[string]time.Time // when each node applied it
}

func newTracker(d *demo) *tracker {
	return &tracker{demo: d, statuses: make([]rotator.Status, len(d.places)), history: make(chan keyring.Info, 1024),
		versions: map[uint64]*version{}, next: 1}
}

// follow fills the history until ctx ends. Between two looks at the nodes more
// than one version may have come and gone.
func (t *tracker) follow(ctx context.Context, c *clientv3.Client) {
	path := fleet.NewLayout("", ringName).Ring()
	for r := range c.Watch(ctx, path, clientv3.WithRev(1)) {
		for _, ev := range r.Events {
			if ring, err := t.demo.kek.Open(path, ev.Kv.Value); err == nil {
				t.history <- ring.Info()
			}
		}
	}
}

// version returns what is known of a version, which may be nothing yet.
func (t *tracker) version(number uint64) *version {
	v := t.versions[number]
	if v == nil {
		v = &version{at: map[string]time.Time{}}
		t.versions[number] = v
	}
	return v
}

// look notes what has changed since the last look, and announces it.
func (t *tracker) look(ctx context.Context, now time.Time) {
	for len(t.history) > 0 {
		info := <-t.history
		t.version(info.Version).info = info
	}
	lowest, epochs := uint64(0), []uint64{}
	for i, p := range t.demo.places {
		n := p.live()
		if n == nil {
			t.statuses[i] = rotator.Status{}
			continue
		}
		s := n.rot.Status()
		t.statuses[i] = s
		if s.Leader && s.Term > t.term {
			t.elected(s)
		}
		// Who has a version has had all before it.
		for number := t.next; number <= s.Info.Version; number++ {
			if v := t.version(number); v.at[s.ID].IsZero() {
				v.at[s.ID] = s.Applied
			}
		}
		if lowest == 0 || s.Info.Version < lowest {
			lowest = s.Info.Version
		}
		epochs = append(epochs, s.Info.Epoch)
	}
	t.settle(epochs, now)
	for ; t.next <= lowest && t.version(t.next).info.Version != 0; t.next++ {
		t.announce(t.next, now)
	}
	if ctx.Err() == nil && !t.killAt.IsZero() && now.After(t.killAt) {
		t.kill(ctx, now)
	}
}

func (t *tracker) elected(s rotator.Status) {
	t.leader, t.term = s.ID, s.Term
	t.demo.show.event(leaderEvent{Event: "leader", Node: s.ID, Term: s.Term})
	if !t.killed.IsZero() {
		t.failovers++
		t.failoverMax = max(t.failoverMax, s.Since.Sub(t.killed))
		t.killed = time.Time{}
	}
}

// announce tells of a version that every live node has.
func (t *tracker) announce(number uint64, now time.Time) {
	v := t.version(number)
	delete(t.versions, number)
	var first, last time.Time
	for _, at := range v.at {
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	for _, at := range v.at {
		if number > 1 && at != first { // version 1 was there before some of the nodes
			t.applied = append(t.applied, at.Sub(first))
		}
	}
	keys := v.info.Keys
	t.demo.show.event(rotationEvent{
		Event: "rotation", Epoch: v.info.Epoch, Version: v.info.Version, Leader: t.leader,
		Active: keys[0].ID, Staged: keys[len(keys)-1].ID, Keys: len(keys), CommitToAllMS: ms(last.Sub(first)),
	})
	t.rotations++
	if t.demo.KillLeader && t.rotations%killEvery == 0 && t.killAt.IsZero() {
		t.killAt = now.Add(rand.N(t.demo.policy.Interval))
	}
}

// kill takes the leader away, and brings another node to its place once
// somebody else leads.
func (t *tracker) kill(ctx context.Context, now time.Time) {
	i := slices.IndexFunc(t.statuses, func(s rotator.Status) bool { return s.Leader && s.ID == t.leader })
	if i < 0 {
		return // between two leaders; soon
	}
	t.killAt, t.killed = time.Time{}, now
	p := t.demo.places[i]
	t.demo.show.event(killedEvent{Event: "killed", Node: p.id})
	t.revival.Go(func() {
		p.kill()
		after := time.NewTimer(ttl + rand.N(t.demo.policy.Interval))
		defer after.Stop()
		for ctx.Err() == nil {
			select {
			case <-after.C:
			case <-ctx.Done():
				return
			}
			if err := p.up(ctx); err == nil || ctx.Err() != nil {
				return
			} else {
				t.demo.show.say("%v", err)
			}
			after.Reset(time.Second)
		}
	})
}

// wait waits for replacements that are on their way.
func (t *tracker) wait() { t.revival.Wait() }

// settle notes since when all live nodes are in one epoch.
func (t *tracker) settle(epochs []uint64, now time.Time) {
	if len(epochs) == 0 {
		return
	}
	low, high := slices.Min(epochs), slices.Max(epochs)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.epoch == 0 { // tickets issued from the start on count
		t.epoch, t.since = high, t.demo.start
	}
	if high > t.epoch {
		t.epoch, t.since = high, time.Time{}
	}
	if t.since.IsZero() && low == t.epoch {
		t.since = now
	}
}

// settled returns since when tickets must be taken everywhere; zero is not yet.
func (t *tracker) settled() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.since
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }
