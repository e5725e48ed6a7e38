package status

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring/rotator"
)

// What is shown at most.
const (
	maxNodes     = 200
	maxTrouble   = 10
	maxListeners = 8
)

// view is all that the page says, but for the time that it is. Streams are not
// sent a view that equals the one before.
type view struct {
	Ring, Node, Build string // of this node
	Started           time.Time

	Epoch, Version     uint64 // 0 is that this node does not know the ring
	Unknown            string // and why
	Written            time.Time
	Due                time.Time // zero is on request only
	Interval, Lifetime string
	Keys               []key
	reach              time.Duration // how long one lives, about

	Leader      string
	LeaderSince time.Time
	Term        int64

	Looked  time.Time // when the fleet was last seen, if that is not now
	Unseen  bool      // it never was
	Outage  *outage
	Trouble []string
	Nodes   []node
	More    map[string]int // of what is not shown
	Current int            // nodes that have the ring's version
	Tickets tickets
	Events  []event
}

// outage is that etcd does not tell of the fleet.
type outage struct {
	What, Why string
	Since     time.Time // the last word from it; zero is that there was none
	Local     bool      // this node seals with its own key
}

// node is one that reports, or this one.
type node struct {
	ID                    string
	Self, Leader          bool
	Observer, Local, Late bool
	Epoch, Version        uint64
	Behind                time.Time // when the version was made that it lacks; zero if it lacks none
	Problem, Build        string
	Listeners             []string
	More                  int // listeners
}

func (n node) ill() bool { return n.Late || n.Local || n.Problem != "" }

// build makes a view of what a node knows by itself and what etcd last told of
// the others. All that came from etcd is made plain and cut.
func build(s rotator.Status, l look, own fleet.NodeStatus, now time.Time) view {
	asOf := now
	if !l.at.IsZero() {
		asOf = l.at
	}
	st := fleet.Combine(s.Ring, s.Info, s.Seen, s.Due, l.fleet, asOf)
	v := view{
		Ring: s.Ring, Node: s.ID, Build: plain(own.Build, nameLength), Epoch: s.Info.Epoch, Version: s.Info.Version,
		Due: st.NextRotation, Interval: short(s.Info.Policy.Interval), Lifetime: short(s.Info.Policy.TicketLifetime),
		Keys: keys(st), reach: 2*s.Info.Policy.Interval + s.Info.Policy.Retirement(), Term: l.fleet.Term, Unseen: l.at.IsZero(), Outage: silence(s, l, now), More: map[string]int{},
	}
	if v.Version > 0 {
		v.Written = stamp(s.Seen)
	} else {
		v.Unknown = unknown(s, l)
	}
	if s.Leader { // that is news
		st.Leader, v.Term = fleet.Leader{ID: s.ID, Since: s.Since}, s.Term
	}
	v.Leader, v.LeaderSince = plain(st.Leader.ID, nameLength), stamp(st.Leader.Since)

	// What this node says of itself is newer than its report.
	own.ID, own.Epoch, own.Version, own.Local, own.Problem = s.ID, v.Epoch, v.Version, s.Local, s.Problem
	st.Nodes = append(slices.DeleteFunc(st.Nodes, func(n fleet.NodeStatus) bool { return n.ID == s.ID }), own)
	for i := range st.Nodes {
		st.Nodes[i].Leader = st.Nodes[i].ID == st.Leader.ID
	}
	v.nodes(st.Nodes, s)
	switch {
	case v.Outage != nil:
		v.Looked = stamp(l.at)
	case !v.Unseen:
		v.trouble(st, s, now)
	}
	return v
}

// nodes shows first what somebody should look at, then who leads.
func (v *view) nodes(all []fleet.NodeStatus, s rotator.Status) {
	for _, n := range all {
		row := node{
			ID: plain(n.ID, nameLength), Self: n.ID == s.ID, Leader: n.Leader, Observer: n.ID == s.ID && s.Observer,
			Local: n.Local, Late: n.LagMS > stale.Milliseconds(), Epoch: n.Epoch, Version: n.Version,
			Problem: plain(n.Problem, textLength), Build: plain(n.Build, nameLength),
		}
		if n.LagMS > 0 {
			row.Behind = v.Written
		} else if n.Version == v.Version && n.Epoch == v.Epoch {
			v.Current++
		}
		row.More = max(0, len(n.Listeners)-maxListeners)
		for _, l := range n.Listeners[:len(n.Listeners)-row.More] {
			row.Listeners = append(row.Listeners, plain(l, nameLength))
		}
		v.Nodes = append(v.Nodes, row)
	}
	first := func(a, b bool) int {
		switch {
		case a == b:
			return 0
		case a:
			return -1
		}
		return 1
	}
	slices.SortFunc(v.Nodes, func(a, b node) int {
		return cmp.Or(first(a.ill(), b.ill()), first(a.Leader, b.Leader), strings.Compare(a.ID, b.ID))
	})
	if more := len(v.Nodes) - maxNodes; more > 0 {
		v.Nodes, v.More["nodes"] = slices.Clone(v.Nodes[:maxNodes]), more
	}
}

// All is how many nodes there are.
func (v view) All() int { return len(v.Nodes) + v.More["nodes"] }

// trouble is what somebody should look at.
func (v *view) trouble(st fleet.Status, s rotator.Status, now time.Time) {
	if v.Version == 0 {
		st.NextRotation = time.Time{}
	}
	all := st.Trouble(now)
	for _, n := range st.Nodes {
		if s.Problem == "" && v.Version > 0 && (n.Epoch > v.Epoch || n.Epoch == v.Epoch && n.Version > v.Version) {
			all = append(all, fmt.Sprintf("%s reports epoch %d, version %d, which this node does not have", n.ID, n.Epoch, n.Version))
			break
		}
	}
	if more := len(all) - maxTrouble; more > 0 {
		all, v.More["trouble"] = all[:maxTrouble], more
	}
	for _, t := range all {
		v.Trouble = append(v.Trouble, plain(t, textLength))
	}
}

// silence returns what there is to say if etcd does not tell of the fleet.
func silence(s rotator.Status, l look, now time.Time) *outage {
	o := &outage{What: "etcd does not answer", Why: plain(s.Problem, textLength), Since: stamp(l.at), Local: s.Local}
	if s.Heard.After(l.at) {
		o.Since = stamp(s.Heard)
	}
	if l.err != nil {
		o.Why = plain(l.err.Error(), textLength)
		var refusal rpctypes.EtcdError
		if !errors.Is(l.err, context.DeadlineExceeded) && errors.As(l.err, &refusal) && refusal.Code() != codes.Unavailable {
			o.What = "etcd does not tell of the fleet"
		}
		return o
	}
	if s.Cause == rotator.Unreachable && now.Sub(l.at) > stale {
		return o
	}
	return nil
}

// unknown says why a node does not know the ring.
func unknown(s rotator.Status, l look) string {
	switch {
	case s.Cause != "" && s.Cause != rotator.Missing:
		return problems[s.Cause]
	case l.fleet.RingRev == 0 && !l.at.IsZero():
		return "etcd has none yet; whoever is elected makes the first"
	}
	return "etcd has not told yet"
}

// stamp is what of an instant equals itself a second later.
func stamp(t time.Time) time.Time { return t.Round(time.Millisecond).UTC() }
