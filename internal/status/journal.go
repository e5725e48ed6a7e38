package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring/rotator"
)

// How many events there are at most: of this node's own, and of others', who come
// and go as they like, and must not push those out.
const (
	ownEvents    = 40
	othersEvents = 20
)

// event is something that this node has seen.
type event struct {
	N      int // of all since the start
	At     time.Time
	Kind   string
	Text   string
	others bool
}

// Aloud reports whether a person must hear of it who does not see.
func (e event) Aloud() bool { return e.Kind != "start" && e.Kind != "nodes" }

// journal is the last events, oldest first.
type journal struct {
	events []event
	count  int       // of all since the start
	began  time.Time // of the problem that there is
}

func (j *journal) add(at time.Time, kind, format string, args ...any) {
	j.append(event{At: stamp(at), Kind: kind, Text: fmt.Sprintf(format, args...)}, ownEvents)
}

func (j *journal) append(e event, most int) {
	j.count++
	e.N = j.count
	same := func(o event) bool { return o.others == e.others }
	n := 0
	for _, o := range j.events {
		if same(o) {
			n++
		}
	}
	if n == most {
		oldest := slices.IndexFunc(j.events, same)
		j.events = slices.Delete(j.events, oldest, oldest+1)
	}
	j.events = append(j.events, e)
}

// newest returns the events, newest first.
func (j *journal) newest() []event {
	e := slices.Clone(j.events)
	slices.Reverse(e)
	return e
}

// node notes what a node knows by itself and did not before.
func (j *journal) node(was, is rotator.Status, now time.Time) {
	if is.Info.Compare(was.Info) > 0 {
		j.ring(was, is)
	}
	switch {
	case is.Leader && (!was.Leader || is.Term != was.Term):
		j.add(is.Since, "leader", "this node leads, term %d", is.Term)
	case was.Leader && !is.Leader:
		j.add(now, "leader", "this node leads no more")
	}
	if is.Cause != was.Cause {
		if was.Cause != "" {
			j.add(now, "problem", "over after %s: %s", span(now.Sub(j.began)), problems[was.Cause])
		}
		if is.Cause != "" {
			j.began = now
			j.add(now, "problem", "%s", problems[is.Cause])
		}
	}
	switch {
	case is.Local && !was.Local:
		j.add(now, "key", "this node seals with a key of its own")
	case was.Local && !is.Local && was.Info.Version > 0:
		j.add(now, "key", "this node seals with the fleet's ring again")
	}
}

// problems are those that a node has with etcd and its ring, in a line.
var problems = map[rotator.Cause]string{
	rotator.Unreachable: "etcd does not answer",
	rotator.Stalled:     "this node leads and cannot write",
	rotator.Missing:     "etcd has no ring",
	rotator.RolledBack:  "etcd has an older ring than this node",
	rotator.Fork:        "etcd has another ring of the same version",
	rotator.UnknownKEK:  "this node lacks the KEK of the ring in etcd",
	rotator.Format:      "the ring in etcd is of a later version of this program",
	rotator.Refused:     "what is in etcd is no ring, or was not sealed under its KEK",
}

func (j *journal) ring(was, is rotator.Status) {
	v, active := is.Info.Version, is.Info.Keys[0].ID
	switch {
	case was.Info.Version == 0:
		j.add(is.Applied, "ring", "this node has the ring: epoch %d, version %d", is.Info.Epoch, v)
	case is.Info.Epoch > was.Info.Epoch:
		j.add(is.Applied, "revoke", "epoch %d, version %d: every key of before is gone", is.Info.Epoch, v)
	case active == was.Info.Keys[0].ID:
		j.add(is.Applied, "ring", "the same keys written again as version %d", v)
	default:
		j.add(is.Applied, "rotation", "version %d: %s seals", v, active)
	}
}

// fleet notes in what the fleet differs from how it was last seen. Whatever this
// node knows by itself is noted there.
func (j *journal) fleet(was, is look, self string) {
	gap := ""
	if is.at.Sub(was.at) > stale {
		gap = ", some time after " + was.at.UTC().Format("15:04:05")
	}
	note := func(kind, format string, args ...any) {
		j.append(event{At: stamp(is.at), Kind: kind, Text: fmt.Sprintf(format, args...) + gap, others: true}, othersEvents)
	}
	switch leader := is.fleet.Leader; {
	case leader == was.fleet.Leader && (leader == "" || is.fleet.Term == was.fleet.Term), leader == self && leader != "":
	case leader == "":
		note("leader", "nobody leads")
	default:
		note("leader", "%s leads, term %d", plain(leader, nameLength), is.fleet.Term)
	}
	before := map[string]fleet.Node{}
	for _, n := range was.fleet.Nodes {
		before[n.ID] = n
	}
	var came, ill, well, alone, shared, went []string
	for _, n := range is.fleet.Nodes {
		b, known := before[n.ID]
		delete(before, n.ID)
		if !known {
			came = append(came, n.ID)
		}
		if n.ID == self {
			continue
		}
		switch {
		case n.Problem != "" && b.Problem == "":
			ill = append(ill, n.ID)
		case n.Problem == "" && b.Problem != "":
			well = append(well, n.ID)
		}
		switch {
		case n.Local && !b.Local:
			alone = append(alone, n.ID)
		case !n.Local && b.Local:
			shared = append(shared, n.ID)
		}
	}
	for id := range before {
		went = append(went, id)
	}
	slices.SortFunc(went, strings.Compare)
	for _, c := range []struct {
		ids        []string
		kind, what string
	}{
		{came, "nodes", "%s came"}, {went, "nodes", "%s went"}, {ill, "problem", "%s: has a problem"}, {well, "problem", "%s: over"},
		{alone, "key", "%s: seals with its own key"}, {shared, "key", "%s: seals with the fleet's ring"},
	} {
		if len(c.ids) > 0 {
			note(c.kind, c.what, names(c.ids))
		}
	}
}
