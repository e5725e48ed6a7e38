package rotator_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/stekring/stekring/internal/etcd/memory"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
)

// TestMonth is 30 days of hourly rotations. Leaders stop, die and are deposed,
// nodes restart and are cut off for hours or days, etcd goes away, loses its
// history, its data, or goes back to a backup. All the while nodes that are in
// touch open what each other seals, and every node, in touch or not, drops each
// key when its time is up and none before.
func TestMonth(t *testing.T) {
	t.Parallel()
	inMemory(t, func(t *testing.T, f *fleetOf) {
		f.log = zap.NewNop()
		m := &month{fleetOf: f, etcd: f.etcd.(*memory.Etcd), rng: rand.New(rand.NewPCG(0, 7)), keys: map[string]*life{}}
		m.run()
	})
}

// days is how long the month is.
var days = 30

// life is what a key has been through.
type life struct{ activated, stopped time.Time }

// due is when a key is dropped.
func (l *life) due(p keyring.Policy) time.Time { return l.stops(p).Add(p.Retirement()) }

// stops is when it stopped sealing, or must at the latest.
func (l *life) stops(p keyring.Policy) time.Time {
	bound := l.activated.Add(max(2*p.Interval, p.TicketLifetime))
	if l.stopped.IsZero() || bound.Before(l.stopped) {
		return bound
	}
	return l.stopped
}

// member is a node beside what the test knows of it.
type member struct {
	*node
	change []func(*rotator.Config)
	out    time.Time // cut off until then
	knew   map[string]bool
}

type month struct {
	*fleetOf
	etcd    *memory.Etcd
	rng     *rand.Rand
	members []*member
	keys    map[string]*life
	newest  uint64
	last    []string // events

	compacted int64
	sealed    int       // keys
	calm      time.Time // since when nothing keeps the fleet from agreeing
}

const (
	step  = 10 * time.Minute
	grace = 35 * time.Second // P + 5 s
)

func (m *month) run() {
	longLease := func(c *rotator.Config) { c.Policy, c.TTL = keyring.DefaultPolicy, 5*time.Minute }
	observer := func(c *rotator.Config) { c.Observer = true }
	for i := range 4 {
		n := &member{change: []func(*rotator.Config){longLease}}
		if i == 3 {
			n.change = append(n.change, observer)
		}
		m.members = append(m.members, n)
		m.join(n)
	}
	m.agree([]*node{m.members[0].node, m.members[1].node, m.members[2].node, m.members[3].node}, 1)
	events := map[string]int{}
	start := time.Now()
	for next := start; time.Since(start) < time.Duration(days)*24*time.Hour; time.Sleep(step) {
		if time.Now().After(next) {
			begin := time.Now()
			e := m.event()
			events[e]++
			m.last = append(m.last, fmt.Sprint(begin.Format("02T15:04:05 "), e))
			m.last = m.last[max(0, len(m.last)-12):]
			next = time.Now().Add(time.Duration(m.rng.Int64N(int64(4 * time.Hour))))
		}
		for _, n := range m.members {
			if !n.out.IsZero() && time.Now().After(n.out) {
				m.etcd.Mend(n.client)
				n.out, m.calm = time.Time{}, time.Now()
			}
		}
		time.Sleep(grace)
		m.look()
	}
	m.t.Logf("version %d, %d keys have sealed; %v", m.newest, m.sealed, events)
	if m.sealed < 18*days {
		m.t.Errorf("%d keys have sealed in %d days", m.sealed, days)
	}
}

func (m *month) join(n *member) {
	n.node, n.knew = m.start(n.change...), map[string]bool{}
	m.calm = time.Now()
}

// event has something happen, and says what.
func (m *month) event() string {
	n := m.members[m.rng.IntN(len(m.members))]
	m.calm = time.Now()
	in := slices.IndexFunc(m.members, func(n *member) bool { return !n.out.IsZero() })
	switch e := m.rng.IntN(20); {
	case e < 3: // whoever leads
		for _, l := range m.members {
			if l.Status().Leader {
				n = l
			}
		}
		if !n.out.IsZero() {
			return "nothing"
		}
		n.kill()
		m.join(n)
		return "leader killed"
	case e < 6:
		if !n.out.IsZero() {
			return "nothing"
		}
		n.stop()
		m.join(n)
		return "restart"
	case e < 9:
		m.depose()
		return "deposed"
	case e < 11:
		m.endLeases()
		return "leases revoked"
	case e < 14 && in < 0:
		n.out = time.Now().Add(time.Duration(m.rng.Int64N(int64(40 * time.Hour))))
		m.etcd.Cut(n.client)
		return "cut off"
	case e < 16:
		m.etcd.Down()
		time.Sleep(time.Duration(m.rng.Int64N(int64(5 * time.Hour))))
		m.etcd.Up()
		m.calm = time.Now()
		return "etcd down"
	case e < 17:
		r, err := m.etcd.Client().Get(m.t.Context(), ringKey, clientv3.WithKeysOnly())
		if err != nil {
			m.t.Fatal(err)
		}
		if r.Header.Revision > m.compacted {
			m.compacted = r.Header.Revision
			m.etcd.Compact(m.compacted)
		}
		return "compacted"
	case e < 18:
		m.etcd.Wipe()
		m.compacted = 0
		m.etcd.Up()
		return "wiped"
	default:
		restore := m.etcd.Save()
		time.Sleep(time.Duration(m.rng.Int64N(int64(5 * time.Hour))))
		m.etcd.Down()
		restore()
		m.etcd.Up()
		m.calm = time.Now()
		return "restored"
	}
}

// look checks all that must hold now.
func (m *month) look() {
	synctest.Wait() // whoever has something to do at this instant
	now, p := time.Now(), keyring.DefaultPolicy
	for _, n := range m.members {
		i := n.Status().Info
		if i.Version > m.newest {
			m.newest = i.Version
			m.learn(i)
		}
	}
	for id, l := range m.keys {
		if now.Sub(l.due(p)) > 60*time.Hour { // longer than any node is cut off
			delete(m.keys, id)
		}
	}
	touch := now.Sub(m.calm) > 6*time.Minute // longer than any lease
	for at, n := range m.members {
		s, have := n.Status(), map[string]bool{}
		for _, k := range n.Ring().Info().Keys {
			have[k.ID] = true
		}
		for _, k := range s.Info.Keys {
			n.knew[k.ID] = true
		}
		for id, l := range m.keys {
			due := l.due(p)
			if i := s.Info.Keys; len(i) > 0 && (i[0].ID == id || i[len(i)-1].ID == id) {
				// As far as this node can know, its active key seals everywhere.
				due = (&life{activated: i[0].Activated}).due(p)
			}
			switch {
			case have[id] && now.After(due.Add(grace)):
				m.t.Fatalf("node %d, in touch %t, still opens a key %v after its time; last %v", at, n.out.IsZero(), now.Sub(due), m.last)
			case !have[id] && n.knew[id] && now.Before(due):
				m.t.Fatalf("node %d, in touch %t, dropped a key %v before its time; last %v", at, n.out.IsZero(), due.Sub(now), m.last)
			}
		}
		if n.out.IsZero() && touch {
			if s.Local || s.Info.Version != m.newest || s.Problem != "" {
				m.t.Fatalf("node %d: local %t, version %d, problem %q; want version %d; now %v; last %v", at, s.Local, s.Info.Version, s.Problem, m.newest, now, m.last)
			}
			if age := now.Sub(s.Info.Rotated); age > p.Interval+10*time.Minute+grace {
				m.t.Fatalf("the active key has sealed for %v", age)
			}
		}
	}
}

// learn notes what a new ring says of its keys' lives. By the one clock that
// there is here, a key stopped sealing when the one before it in the ring began.
func (m *month) learn(i keyring.Info) {
	for at, k := range i.Keys[:len(i.Keys)-1] {
		if m.keys[k.ID] == nil {
			m.keys[k.ID] = &life{activated: k.Activated}
			m.sealed++
		}
		if at > 0 {
			m.keys[k.ID].stopped = i.Keys[at-1].Activated
		}
	}
}
