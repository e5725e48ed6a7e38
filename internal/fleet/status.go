package fleet

import (
	"fmt"
	"slices"
	"time"

	"github.com/stekring/stekring/keyring"
)

// Status is a fleet as people and scripts read it; version 0 is that nobody here
// can read the ring. Times of keys are as good as
// the clocks of those who wrote them.
type Status struct {
	Ring         string         `json:"ring" yaml:"ring"`
	KEK          string         `json:"kek,omitempty" yaml:"kek,omitempty"` // id of that which the ring in etcd is sealed under
	Epoch        uint64         `json:"epoch" yaml:"epoch"`
	Version      uint64         `json:"version" yaml:"version"`
	LastRotation time.Time      `json:"last_rotation" yaml:"last_rotation"`
	NextRotation time.Time      `json:"next_rotation,omitzero" yaml:"next_rotation,omitempty"` // absent if on request only
	Policy       keyring.Policy `json:"policy" yaml:"-"`
	Leader       Leader         `json:"leader" yaml:"leader"`
	Keys         []KeyStatus    `json:"keys" yaml:"keys"`
	Nodes        []NodeStatus   `json:"nodes" yaml:"nodes"`
}

// Leader is who leads; ID "" is nobody.
type Leader struct {
	ID    string    `json:"id" yaml:"id"`
	Since time.Time `json:"since,omitzero" yaml:"since,omitempty"`
}

// KeyStatus is a key and when it is dropped, if rotations go on as planned.
type KeyStatus struct {
	ID        string    `json:"id" yaml:"id"`
	Role      string    `json:"role" yaml:"role"`
	Created   time.Time `json:"created" yaml:"created"`
	Activated time.Time `json:"activated,omitzero" yaml:"activated,omitempty"`
	DropsAt   time.Time `json:"drops_at,omitzero" yaml:"drops_at,omitempty"`
}

// NodeStatus is a live node. LagMS is 0 if it has the ring's version; if not,
// the milliseconds since that was made.
type NodeStatus struct {
	ID      string `json:"id" yaml:"id"`
	Epoch   uint64 `json:"epoch" yaml:"epoch"`
	Version uint64 `json:"version" yaml:"version"`
	LagMS   int64  `json:"lag_ms" yaml:"lag_ms"`
	Leader  bool   `json:"leader" yaml:"leader"`
	Local   bool   `json:"local" yaml:"local"`
	Problem string `json:"problem,omitempty" yaml:"problem,omitempty"`
	Build   string `json:"build,omitempty" yaml:"build,omitempty"`
	// Listeners are for the status page.
	Listeners []string `json:"-" yaml:"-"`
}

// Describe puts together what a snapshot says of a ring that was read at now.
func Describe(name string, r *keyring.Ring, s Snapshot, now time.Time) Status {
	info, seen := r.Info(), r.Seen(now)
	return Combine(name, info, seen, info.Policy.Due(r, seen, now), s, now)
}

// Combine is Describe for who has followed the ring, and knows when it was
// written and when its rotation is due. The zero Info is that nobody here does.
func Combine(name string, info keyring.Info, seen, next time.Time, s Snapshot, now time.Time) Status {
	p := info.Policy
	st := Status{
		Ring: name, Epoch: info.Epoch, Version: info.Version, Policy: p,
		LastRotation: info.Rotated, Leader: Leader{ID: s.Leader}, Keys: []KeyStatus{}, Nodes: []NodeStatus{},
	}
	if !next.IsZero() {
		st.NextRotation = utc(next)
	}
	for _, k := range info.Keys {
		ks := KeyStatus{ID: k.ID, Role: k.Role.String(), Created: k.Created, Activated: k.Activated}
		switch {
		case k.Role == keyring.Retired:
			ks.DropsAt = utc(seen.Add(k.Left))
		case k.Role == keyring.Active && !next.IsZero():
			ks.DropsAt = utc(next.Add(p.Retirement()))
		case k.Role == keyring.Staged && !next.IsZero():
			ks.DropsAt = utc(next.Add(p.Interval + p.Retirement()))
		}
		st.Keys = append(st.Keys, ks)
	}
	for _, n := range s.Nodes {
		ns := NodeStatus{ID: n.ID, Epoch: n.Epoch, Version: n.Version, Leader: n.ID == s.Leader, Local: n.Local, Problem: n.Problem, Build: n.Build, Listeners: n.Listeners}
		if n.Info().Compare(info) < 0 {
			written := info.Rotated.Add(info.Keys[0].Sealed)
			ns.LagMS = max(1, now.Sub(written).Milliseconds())
		}
		if ns.Leader {
			st.Leader.Since = n.LeaderSince
		}
		st.Nodes = append(st.Nodes, ns)
	}
	return st
}

// Trouble returns what an operator should look at. What it names was written by
// others.
func (s Status) Trouble(now time.Time) (bad []string) {
	report := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	if s.Leader.ID == "" {
		report("nobody leads")
	} else if !slices.ContainsFunc(s.Nodes, func(n NodeStatus) bool { return n.Leader }) {
		report("%s leads and does not report", s.Leader.ID)
	}
	if late := now.Sub(s.NextRotation); !s.NextRotation.IsZero() && late > max(time.Minute, s.Policy.Interval/10) {
		report("the rotation is %v overdue", late.Round(time.Second))
	}
	for _, n := range s.Nodes {
		if n.LagMS > 5000 {
			report("%s is at version %d, the ring at %d", n.ID, n.Version, s.Version)
		}
		if n.Local {
			report("%s seals with its own key", n.ID)
		}
		if n.Problem != "" {
			report("%s: %s", n.ID, n.Problem)
		}
	}
	return bad
}

// Behind returns the ids of nodes that have not reported a ring as new as want:
// of those that are alive, and of those that were.
func (s Snapshot) Behind(were []Node, want keyring.Info) (ids []string) {
	state := map[string]keyring.Info{}
	for _, n := range were {
		state[n.ID] = keyring.Info{}
	}
	for _, n := range s.Nodes {
		state[n.ID] = n.Info()
	}
	for id, info := range state {
		if info.Compare(want) < 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func utc(t time.Time) time.Time { return t.Round(time.Millisecond).UTC() }
