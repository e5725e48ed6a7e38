package integration

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

// series returns the value of each series of ours that a node shows.
func (p *process) series() map[string]float64 {
	p.t.Helper()
	_, body := p.get("/metrics")
	found := map[string]float64{}
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, "stekring_") {
			continue
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			p.t.Fatalf("%q: %v", line, err)
		}
		found[name+"}"] = v
	}
	return found
}

// gauge returns a series that has no label but the ring.
func (p *process) gauge(name string) (v float64, ok bool) {
	p.t.Helper()
	v, ok = p.series()["stekring_"+name+`{ring="www"}`]
	return v, ok
}

// problem returns the causes that a node shows as its problem.
func (p *process) problem() (causes []string) {
	p.t.Helper()
	for name, v := range p.series() {
		if _, label, ok := strings.Cut(name, `stekring_problem{cause="`); ok && v == 1 {
			causes = append(causes, strings.TrimSuffix(label, `",ring="www"}`))
		}
	}
	return causes
}

// causes are those that a node can show.
var causes = []string{"unreachable", "stalled", "missing", "rolled_back", "fork", "unknown_kek", "format", "refused"}

// sum adds up the series whose names begin with a prefix and hold a label.
func sum(series map[string]float64, prefix, label string) (v float64) {
	for name, n := range series {
		if strings.HasPrefix(name, prefix) && strings.Contains(name, label) {
			v += n
		}
	}
	return v
}

// TestMetricsFollowTheFleet visits two nodes, through a rotation, a revoke and an
// outage, and looks at what they count.
func TestMetricsFollowTheFleet(t *testing.T) {
	t.Parallel()
	etcd := etcdtest.Start(t)
	s := newSite(t, etcd.Endpoint())
	nodes := s.fleet("a", "b")
	a, b := nodes[0], nodes[1]
	for _, p := range nodes {
		p.ready()
		if got := p.series(); sum(got, "stekring_handshakes_total", `"resumed"`) < 2 || sum(got, "stekring_tickets_opened_total", "") < 2 {
			t.Errorf("%s does not count its own check: %v", p.id, got)
		}
	}
	counts := map[string][2]string{ // a prefix of series, and a label
		"full":    {"stekring_handshakes_total", `mode="full",ring="www",tls="1.3"`},
		"resumed": {"stekring_handshakes_total", `mode="resumed",ring="www",tls="1.3"`},
		"issued":  {"stekring_tickets_issued_total", `tls="1.3"`},
		"opened":  {"stekring_tickets_opened_total", `tls="1.3"`},
		"aged":    {"stekring_ticket_age_seconds_count", ""},
		"missed":  {"stekring_tickets_missed_total", `reason="no_key",ring="www",tls="1.3"`},
		"other":   {"stekring_", `"other"`},
		"1.2":     {"stekring_", `"1.2"`},
	}
	counted := func(p *process, visit func()) map[string]float64 {
		t.Helper()
		before := p.series()
		visit()
		after, got := p.series(), map[string]float64{}
		for name, c := range counts {
			got[name] = sum(after, c[0], c[1]) - sum(before, c[0], c[1])
		}
		return got
	}
	want := func(what string, got map[string]float64, full, resumed, opened, missed float64) {
		t.Helper()
		if want := map[string]float64{
			"full": full, "resumed": resumed, "issued": 1, "opened": opened, "aged": opened, "missed": missed, "other": 0, "1.2": 0,
		}; !maps.Equal(got, want) {
			t.Errorf("%s: counted %v, want %v", what, got, want)
		}
	}
	v := s.visitor()
	want("a client without a ticket", counted(a, func() { v.resumes(a, false) }), 1, 0, 0, 0)
	v.keep = true
	want("its ticket at the other node", counted(b, func() { v.resumes(b, true) }), 0, 1, 1, 0)

	version, _ := b.gauge("ring_version")
	eventually(t, "a rotation shows", func() bool {
		now, _ := b.gauge("ring_version")
		_, lag := b.gauge("ring_apply_lag_seconds")
		rotations := 0.0
		for _, p := range nodes {
			n, _ := p.gauge("rotations_total")
			rotations += n
		}
		return now > version && lag && rotations > 0
	})
	retired := func(p *process) float64 { return sum(p.series(), "stekring_tickets_opened_total", `role="retired"`) }
	before := retired(b)
	v.resumes(b, true)
	if got := retired(b) - before; got != 1 {
		t.Errorf("a ticket of before a rotation: %v opened by a retired key, want 1", got)
	}
	leaders := 0.0
	for _, p := range nodes {
		n, _ := p.gauge("is_leader")
		leaders += n
	}
	if leaders != 1 {
		t.Errorf("%v leaders, want 1", leaders)
	}

	mustRun(t, "revoke", "--config", s.configure("operator"), "--reason", "test", "--yes")
	for _, p := range nodes {
		eventually(t, "a revoke shows at "+p.id, func() bool { epoch, _ := p.gauge("ring_epoch"); return epoch == 2 })
	}
	want("a ticket of before a revoke", counted(b, func() { v.resumes(b, false) }), 1, 0, 0, 1)

	etcd.Down()
	for _, p := range nodes {
		eventually(t, "an outage shows at "+p.id, func() bool { return slices.Equal(p.problem(), []string{"unreachable"}) })
		eventually(t, "the next rotation is late at "+p.id, func() bool { late, _ := p.gauge("rotation_overdue_seconds"); return late > 0 })
	}
	contact, _ := b.gauge("etcd_last_contact_timestamp_seconds")
	etcd.Up()
	for _, p := range nodes {
		eventually(t, "the end of it shows at "+p.id, func() bool { late, _ := p.gauge("rotation_overdue_seconds"); return len(p.problem()) == 0 && late == 0 })
	}
	eventually(t, "etcd is heard again", func() bool {
		now, _ := b.gauge("etcd_last_contact_timestamp_seconds")
		return now > contact && contact > 0
	})
}

// TestMetricsPage holds the page to what a node shows: no series more, none less,
// with their types and labels, in the table; and no alert asks for another.
func TestMetricsPage(t *testing.T) {
	t.Parallel()
	p := newSite(t, etcdtest.Start(t).Endpoint()).fleet("a")[0]
	eventually(t, "every series is there", func() bool { _, lag := p.gauge("ring_apply_lag_seconds"); return lag })
	_, body := p.get("/metrics")
	shown := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (stekring_\S+) (\S+)$`).FindAllStringSubmatch(body, -1) {
		name, labels := m[1], []string{}
		line := regexp.MustCompile(`(?m)^` + name + `(?:_count)?\{(.*)\} `).FindStringSubmatch(body)
		if line == nil {
			t.Fatalf("%s has no series", name)
		}
		ring := false
		for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(line[1], -1) {
			if l[1] == "ring" {
				ring = true
			} else {
				labels = append(labels, l[1])
			}
		}
		if !ring {
			t.Errorf("%s has no label ring", name)
		}
		if len(labels) > 0 {
			name += "{" + strings.Join(labels, ",") + "}"
		}
		shown[name] = m[2]
	}

	page := read(t, "../docs/reference/metrics.md")
	named := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(stekring_[^`]+)` \\| (\\w+) \\|").FindAllStringSubmatch(page, -1) {
		named[m[1]] = m[2]
	}
	if !maps.Equal(named, shown) {
		t.Errorf("metrics.md has\n%v\nwant\n%v", named, shown)
	}
	for _, cause := range causes {
		if !strings.Contains(page, "`"+cause+"`") || !strings.Contains(body, fmt.Sprintf(`cause="%s"`, cause)) {
			t.Errorf("cause %s is not on the page and at the node", cause)
		}
	}

	for _, r := range alertRules(t) {
		metrics := regexp.MustCompile(`stekring_\w+`).FindAllString(r.Expr, -1)
		for _, name := range metrics {
			if !strings.Contains(body, "\n# TYPE "+name+" ") {
				t.Errorf("alert %s: there is no %s", r.Alert, name)
			}
		}
		if len(metrics) == 0 && !strings.Contains(r.Expr, `up{job="stekring"}`) {
			t.Errorf("alert %q asks %q", r.Alert, r.Expr)
		}
	}
}
