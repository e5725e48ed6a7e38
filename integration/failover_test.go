package integration

import (
	"encoding/json"
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

// failover is how long a fleet may be without a leader.
const failover = 2*ttl + 3*time.Second

func TestFailover(t *testing.T) {
	t.Parallel()
	etcd := etcdtest.Start(t)
	s := newSite(t, etcd.Endpoint())
	h := s.record(etcd.Client())
	nodes := s.fleet("a", "b", "c")
	h.settle(2, nodes) // so that there is a retired key
	s.checkStatus(nodes)

	succeed := func(how string, lost *process) *process {
		t.Helper()
		start := time.Now()
		next := leader(t, without(nodes, lost))
		took := time.Since(start)
		t.Logf("%s: %s led %.2fs after %s", how, next.id, took.Seconds(), lost.id)
		if took > failover {
			t.Errorf("%s: nobody led for %v, want at most %v", how, took, failover)
		}
		return next
	}

	first := leader(t, nodes)
	first.signal(sigstop)
	succeed("stopped", first)
	h.settle(h.version()+1, without(nodes, first))
	// It wakes up in the belief that it leads, with a rotation long due.
	first.signal(sigcont)
	h.settle(h.version()+1, nodes)
	h.check()

	second := leader(t, nodes)
	second.signal(syscall.SIGKILL)
	if code := second.wait(); code != -1 {
		t.Errorf("%s exits %d after KILL", second.id, code)
	}
	third := succeed("killed", second)
	nodes = without(nodes, second)
	h.settle(h.version()+1, nodes)
	h.check()

	start := time.Now()
	third.signal(syscall.SIGTERM)
	last := leader(t, without(nodes, third))
	took := time.Since(start)
	t.Logf("terminated: %s led %.2fs after %s", last.id, took.Seconds(), third.id)
	if took >= ttl {
		t.Errorf("hand-over took %v, want it before the lease of %v would have expired", took, ttl)
	}
	if code := third.wait(); code != 0 || time.Since(start) > 5*time.Second {
		t.Errorf("%s exits %d %v after TERM, want 0 within 5s", third.id, code, time.Since(start))
	}
	t.Logf("terminated: %s exited after %.2fs", third.id, time.Since(start).Seconds())
	s.checkStatus([]*process{last})
	h.settle(h.version()+1, []*process{last})
	h.check()
}

// checkStatus holds what the command prints against what there must be.
func (s *site) checkStatus(nodes []*process) {
	s.t.Helper()
	type key struct {
		ID, Role           string
		Created, Activated time.Time
		DropsAt            time.Time `json:"drops_at"`
	}
	var st struct {
		Ring           string
		Epoch, Version uint64
		LastRotation   time.Time `json:"last_rotation"`
		NextRotation   time.Time `json:"next_rotation"`
		Leader         struct {
			ID    string
			Since time.Time
		}
		Keys  []key
		Nodes []struct {
			ID             string
			Epoch, Version uint64
			LagMS          int64 `json:"lag_ms"`
			Leader         bool
		}
	}
	operator, out := s.configure("operator"), ""
	eventually(s.t, "who leads reports it", func() bool {
		out = mustRun(s.t, "status", "-o", "json", "--config", operator)
		return slices.Contains(fields(s.t, out, "leader"), "since")
	})
	now := time.Now()
	for path, want := range map[string][]string{
		"":       {"ring", "epoch", "version", "last_rotation", "next_rotation", "leader", "keys", "nodes"},
		"leader": {"id", "since"},
		"keys":   {"id", "role", "created", "activated", "drops_at"},
		"nodes":  {"id", "epoch", "version", "lag_ms", "leader"},
	} {
		if got := fields(s.t, out, path); !subset(want, got) {
			s.t.Errorf("status: %q has fields %v, want %v", path, got, want)
		}
	}
	if err := json.Unmarshal([]byte(out), &st); err != nil {
		s.t.Fatalf("%v in\n%s", err, out)
	}
	around := func(what string, at time.Time, from, to time.Duration) {
		s.t.Helper()
		if d := at.Sub(now); d < from-time.Second || d > to+time.Second {
			s.t.Errorf("status: %s is %v from now, want %v to %v", what, d, from, to)
		}
	}
	if st.Ring != "www" || st.Epoch != 1 || st.Version < 2 {
		s.t.Errorf("status: ring %q epoch %d version %d", st.Ring, st.Epoch, st.Version)
	}
	around("last_rotation", st.LastRotation, -interval, 0)
	around("next_rotation", st.NextRotation, -ttl, interval)
	around("leader.since", st.Leader.Since, -patience, 0)
	for i, k := range st.Keys {
		around("created", k.Created, -patience, 0)
		want, from, to := "retired", time.Duration(0), lifetime+interval
		switch i {
		case 0:
			want, from, to = "active", lifetime+interval, lifetime+2*interval
		case len(st.Keys) - 1:
			want, from, to = "staged", lifetime+2*interval, lifetime+3*interval
		}
		if k.Role != want || k.ID == "" || k.Activated.IsZero() != (want == "staged") {
			s.t.Errorf("status: key %d of %d is %+v, want it %s", i, len(st.Keys), k, want)
		}
		around("drops_at of a "+want+" key", k.DropsAt, from, to)
	}
	ids, leaders := map[string]bool{}, 0
	for _, n := range st.Nodes {
		ids[n.ID] = true
		if n.Epoch != 1 || n.Version+1 < st.Version || n.LagMS < 0 || (n.LagMS == 0) != (n.Version >= st.Version) {
			s.t.Errorf("status: node %+v of version %d", n, st.Version)
		}
		if n.Leader != (n.ID == st.Leader.ID) {
			s.t.Errorf("status: node %+v, and the leader is %s", n, st.Leader.ID)
		}
		if n.Leader {
			leaders++
		}
	}
	if len(ids) != len(nodes) || leaders != 1 {
		s.t.Errorf("status: %d leaders in nodes %v, want one in %d", leaders, slices.Collect(maps.Keys(ids)), len(nodes))
	}
	for _, p := range nodes {
		if !ids[p.id] {
			s.t.Errorf("status: %s is not there", p.id)
		}
	}
}

// fields returns the names in an object of a JSON text; of a list, those in its
// first element.
func fields(t *testing.T, text, name string) []string {
	t.Helper()
	var top map[string]any
	if err := json.Unmarshal([]byte(text), &top); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	object := top
	if name != "" {
		switch v := top[name].(type) {
		case []any:
			if len(v) == 0 {
				return nil
			}
			object, _ = v[0].(map[string]any)
		default:
			object, _ = v.(map[string]any)
		}
	}
	return slices.Sorted(maps.Keys(object))
}

func subset(want, of []string) bool {
	return !slices.ContainsFunc(want, func(s string) bool { return !slices.Contains(of, s) })
}
