package status

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring/rotator"
)

// TestJournal is what is noted of each change.
func TestJournal(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(s *situation)
		want   []string
	}{
		{"nothing", func(*situation) {}, nil},
		{"a rotation", func(s *situation) {
			s.status.Info.Version, s.status.Info.Keys[0].ID = 5, "other"
		}, []string{"rotation: version 5: other seals"}},
		{"written again", func(s *situation) { s.status.Info.Version = 5 }, []string{"ring: the same keys written again as version 5"}},
		{"a revoke", func(s *situation) {
			s.status.Info.Epoch, s.status.Info.Version = 2, 5
		}, []string{"revoke: epoch 2, version 5: every key of before is gone"}},
		{"elected", func(s *situation) {
			s.status.Leader, s.status.Term, s.look.fleet.Leader = true, 99, "edge-1"
		}, []string{"leader: this node leads, term 99"}},
		{"another elected", func(s *situation) {
			s.look.fleet.Leader, s.look.fleet.Term = "edge-3", 99
		}, []string{"leader: edge-3 leads, term 99"}},
		{"elected again", func(s *situation) { s.look.fleet.Term = 99 }, []string{"leader: edge-2 leads, term 99"}},
		{"nobody elected", func(s *situation) { s.look.fleet.Leader = "" }, []string{"leader: nobody leads"}},
		{"a problem", func(s *situation) { s.status.Cause = rotator.Unreachable }, []string{"problem: etcd does not answer"}},
		{"alone", func(s *situation) { s.status.Local = true }, []string{"key: this node seals with a key of its own"}},
		{"others", func(s *situation) {
			n := s.look.fleet.Nodes
			n[1].Problem, n[2].Local = "bad", true
			for i := range 6 {
				s.look.fleet.Nodes = append(s.look.fleet.Nodes, fleet.Node{ID: fmt.Sprint("new-", i)})
			}
		}, []string{"nodes: new-0, new-1, new-2 and 3 more came", "problem: edge-2: has a problem", "key: edge-3: seals with its own key"}},
		{"gone", func(s *situation) { s.look.fleet.Nodes = nil }, []string{"nodes: edge-1, edge-2, edge-3 went"}},
		{"after a while", func(s *situation) {
			s.look.fleet.Nodes, s.look.at = s.look.fleet.Nodes[:2], s.now.Add(time.Hour)
		}, []string{"nodes: edge-3 went, some time after 11:59:59"}},
	} {
		was := healthy(t)
		copied := *was
		is := &copied
		is.status.Info.Keys, is.look.fleet.Nodes = slices.Clone(was.status.Info.Keys), slices.Clone(was.look.fleet.Nodes)
		c.change(is)
		var j journal
		j.node(was.status, is.status, is.now)
		j.fleet(was.look, is.look, "edge-1")
		var got []string
		for _, e := range j.events {
			got = append(got, e.Kind+": "+e.Text)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: noted %q, want %q", c.name, got, c.want)
		}
	}
}

func TestProblemEnds(t *testing.T) {
	s := healthy(t)
	was, is := s.status, s.status
	is.Cause = rotator.Stalled
	var j journal
	j.node(was, is, s.now)
	j.node(is, was, s.now.Add(90*time.Second))
	if got := j.newest()[0].Text; got != "over after 1m 30s: this node leads and cannot write" {
		t.Errorf("noted %q", got)
	}
}

func TestJournalIsBounded(t *testing.T) {
	var j journal
	for i := range 10 * ownEvents {
		j.add(time.Now(), "ring", "%s", strings.Repeat("x", i))
	}
	if got := j.newest(); len(got) != ownEvents || got[0].N != 10*ownEvents || got[ownEvents-1].N != 9*ownEvents+1 {
		t.Errorf("%d events, from %d to %d", len(got), got[0].N, got[len(got)-1].N)
	}
	for range 10 * ownEvents { // whoever can write to etcd can have nodes come and go
		j.append(event{Kind: "nodes", others: true}, othersEvents)
	}
	if got := j.newest(); len(got) != ownEvents+othersEvents || got[0].Kind != "nodes" || got[othersEvents].Kind != "ring" || got[0].N != 20*ownEvents {
		t.Errorf("%d events with those of others, the newest %+v", len(got), got[0])
	}
}
