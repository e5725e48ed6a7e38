package status

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
)

// situation is what a page is made from.
type situation struct {
	status rotator.Status
	look   look
	now    time.Time
}

// healthy is three nodes after three rotations, the last ten minutes ago.
func healthy(t *testing.T) *situation {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p, at := keyring.DefaultPolicy, now.Add(-190*time.Minute)
	ring := p.First(1, 1, at)
	for range 3 {
		next, err := p.Next(ring, at, at.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		ring, at = next, at.Add(time.Hour)
	}
	s := &situation{now: now, status: rotator.Status{
		Ring: "www", ID: "edge-1", Info: ring.Info(), Seen: at, Applied: at, Due: p.Due(ring, at, now),
		Sealing: ring.Info().Keys[0].ID, Heard: now.Add(-3 * time.Second),
	}}
	for i := range 3 {
		n := fleet.Node{ID: fmt.Sprintf("edge-%d", i+1), Epoch: 1, Version: 4, Since: at, Policy: p, Build: "v1.2.3", Listeners: []string{":8443"}}
		if i == 1 {
			n.Leader, n.LeaderSince = true, now.Add(-5*time.Hour)
		}
		s.look.fleet.Nodes = append(s.look.fleet.Nodes, n)
	}
	s.look.fleet.Leader, s.look.fleet.Term, s.look.fleet.RingRev, s.look.at = "edge-2", 77, 9, now.Add(-time.Second)
	return s
}

func (s *situation) view() view {
	return build(s.status, s.look, fleet.NodeStatus{Build: "v1.2.3", Listeners: []string{":8443"}}, s.now)
}

// page returns the page as text, and as it is.
func (s *situation) page() (text, html string) {
	v := s.view()
	v.Started = s.now.Add(-time.Hour)
	var b bytes.Buffer
	render(&b, "page", v, s.now)
	var out strings.Builder
	inside := false
	for _, r := range b.String() {
		switch {
		case r == '<':
			inside = true
		case r == '>':
			inside = false
			out.WriteByte(' ')
		case !inside:
			out.WriteRune(r)
		}
	}
	return strings.Join(strings.Fields(out.String()), " "), b.String()
}

func TestStates(t *testing.T) {
	for _, c := range []struct {
		name       string
		change     func(s *situation)
		want, deny []string
	}{
		{"healthy", func(*situation) {}, []string{
			"www all well", "Leader edge-2 for 5h 00m , term 77", "Ring version 4 epoch 1, written 10m 00s ago",
			"Next rotation in 50m 00s every 1h, tickets live 12h", "Nodes 3 all have version 4",
			"staged 10m 00s ago in 50m 00s in 14h 50m", "active 1h 10m ago for 10m 00s in 13h 50m", "retired 2h 10m ago until 10m 00s ago in 12h 50m",
			"edge-2 leader ● well 4 the ring v1.2.3 :8443", "edge-1 this node well",
		}, []string{"look at", "TLS goes on", "As they were"}},
		{"nobody leads", func(s *situation) { s.look.fleet.Leader = "" },
			[]string{"one thing to look at", "nobody leads", "Leader nobody an election takes seconds"}, []string{"edge-2 leader"}},
		{"this node has just been elected", func(s *situation) { s.status.Leader, s.status.Term, s.status.Since = true, 99, s.now },
			[]string{"all well", "Leader edge-1 for 0s , term 99", "edge-1 leader this node"}, []string{"edge-2 leader"}},
		{"the leader does not report", func(s *situation) { s.look.fleet.Leader = "edge-9" },
			[]string{"edge-9 leads and does not report", "Leader edge-9 term 77"}, nil},
		{"a node is behind", func(s *situation) { s.look.fleet.Nodes[2].Version = 3 },
			[]string{"edge-3 is at version 3, the ring at 4", "behind for 10m 00s", "Nodes 3 2 with version 4"}, nil},
		{"a node is about to take it", func(s *situation) {
			s.look.fleet.Nodes[2].Version, s.look.at = 3, s.status.Seen.Add(time.Second)
		}, []string{"all well", "taking it"}, []string{"behind"}},
		{"another knows a newer ring", func(s *situation) { s.look.fleet.Nodes[2].Version = 5 },
			[]string{"edge-3 reports epoch 1, version 5, which this node does not have"}, nil},
		{"a node is alone", func(s *situation) { s.look.fleet.Nodes[2].Local = true },
			[]string{"edge-3 seals with its own key", "alone 4 its own key"}, nil},
		{"overdue", func(s *situation) { s.status.Due = s.now.Add(-7 * time.Minute) },
			[]string{"the rotation is 7m0s overdue", "Next rotation 7m 00s overdue"}, nil},
		{"on request only", func(s *situation) { s.status.Info.Policy.Manual, s.status.Due = true, time.Time{} },
			[]string{"all well", "Next rotation on request only", "staged 10m 00s ago – –", "active 1h 10m ago for 10m 00s –"}, nil},
		{"revoked", func(s *situation) {
			s.status.Info.Epoch, s.status.Info.Version = 2, 5
			s.status.Info.Keys = append(s.status.Info.Keys[:1], s.status.Info.Keys[len(s.status.Info.Keys)-1])
		}, []string{"version 5 epoch 2", "4 epoch 1", "edge-2 is at version 4, the ring at 5"}, []string{"retired 2h"}},
		{"outage", func(s *situation) {
			s.look.err, s.look.at = fmt.Errorf("fleet: %w", context.DeadlineExceeded), s.now.Add(-time.Minute)
			s.status.Cause, s.status.Problem = rotator.Unreachable, "etcd does not answer: deadline"
		}, []string{
			"etcd does not answer. It last did 3s ago . TLS goes on: this node seals and opens with the ring it has.",
			"Leader and other nodes are shown as they were 1m 00s ago", "As they were 1m 00s ago ; this node as it is.", "edge-3 well",
		}, []string{"look at"}},
		{"an outage that the node knows of and the page does not yet", func(s *situation) {
			s.look.at, s.status.Cause, s.status.Problem = s.now.Add(-time.Hour), rotator.Unreachable, "etcd does not answer: refused"
		}, []string{"etcd does not answer. It last did", "etcd does not answer: refused"}, nil},
		{"a long outage", func(s *situation) { s.look.err, s.status.Local = errors.New("gone"), true },
			[]string{"this node seals with a key of its own, and its tickets resume here"}, nil},
		{"etcd never answered", func(s *situation) {
			s.look, s.status = look{err: errors.New("refused")}, rotator.Status{Ring: "www", ID: "edge-1", Local: true, Cause: rotator.Unreachable}
		}, []string{"It has not since this node started", "Leader not known", "Ring not known", "This node does not know the fleet's ring: etcd does not answer.", "Nodes 1 known"}, nil},
		{"no permission", func(s *situation) { s.look.err = rpctypes.ErrPermissionDenied },
			[]string{"etcd does not tell of the fleet", "permission denied"}, nil},
		{"no ring yet", func(s *situation) {
			s.look = look{at: s.now}
			s.status = rotator.Status{Ring: "www", ID: "edge-1", Local: true, Cause: rotator.Missing, Problem: "rotator: etcd has no ring"}
		}, []string{"etcd has none yet; whoever is elected makes the first", "Leader nobody", "Next rotation –"}, []string{"overdue"}},
		{"not asked yet", func(s *situation) { s.look = look{} },
			[]string{"www reading the fleet", "Leader not known", "version 4"}, []string{"nobody leads"}},
		{"an observer", func(s *situation) { s.status.ID, s.status.Observer = "watcher", true },
			[]string{"all well", "watcher this node observer", "Nodes 4"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := healthy(t)
			c.change(s)
			text, _ := s.page()
			for _, want := range c.want {
				if !strings.Contains(text, strings.ReplaceAll(want, "● ", "")) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			for _, deny := range c.deny {
				if strings.Contains(text, deny) {
					t.Errorf("%q in\n%s", deny, text)
				}
			}
		})
	}
}

// TestHostileText has everything that others write be an attack.
func TestHostileText(t *testing.T) {
	evil := "<script>alert(1)</script>\x1b[2J\r\n\n\"'` onload=x \u202etxt" + strings.Repeat("A", 5000)
	s := healthy(t)
	s.look.fleet.Leader = evil
	for i := range s.look.fleet.Nodes {
		n := &s.look.fleet.Nodes[i]
		n.ID, n.Problem, n.Build = evil+n.ID, evil, evil
		n.Listeners = nil
		for range 100 {
			n.Listeners = append(n.Listeners, evil)
		}
	}
	s.status.Problem = evil
	_, html := s.page()
	stream := string(frame(s.view(), s.now))
	for _, got := range []string{html, stream} {
		if strings.Contains(got, "<script>alert") || strings.ContainsAny(got, "\x1b\r\u202e") || strings.Contains(got, "onload=x\"") {
			t.Errorf("what others wrote is not made harmless:\n%.2000s", got)
		}
		if !strings.Contains(got, "&lt;script&gt;alert(1)") {
			t.Error("what others wrote is not shown at all")
		}
		if len(got) > 50_000 {
			t.Errorf("%d bytes of three nodes", len(got))
		}
	}
	for line := range strings.Lines(strings.TrimSuffix(stream, "\n\n")) {
		if !strings.HasPrefix(line, "data: ") {
			t.Errorf("a line of the stream is %.80q", line)
		}
	}
}

// TestManyNodes shows those that are ill.
func TestManyNodes(t *testing.T) {
	s := healthy(t)
	for i := range 5000 {
		n := s.look.fleet.Nodes[0]
		n.ID, n.Local = fmt.Sprintf("node-%04d", i), i == 4321
		s.look.fleet.Nodes = append(s.look.fleet.Nodes, n)
	}
	v := s.view()
	if len(v.Nodes) != maxNodes || v.All() != 5003 || v.Nodes[0].ID != "node-4321" || v.Nodes[1].ID != "edge-2" {
		t.Errorf("%d of %d nodes shown, the first %s and %s", len(v.Nodes), v.All(), v.Nodes[0].ID, v.Nodes[1].ID)
	}
	if text, html := s.page(); !strings.Contains(text, "and 4803 more") || len(html) > 200_000 {
		t.Errorf("a page of %d bytes", len(html))
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 59*time.Second + 999*time.Millisecond: "59s", time.Minute: "1m 00s", 3599 * time.Second: "59m 59s",
		time.Hour: "1h 00m", 25*time.Hour - time.Second: "1d 0h", 24*time.Hour - time.Second: "23h 59m", 50 * time.Hour: "2d 2h",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
}
