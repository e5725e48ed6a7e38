package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/stekring/stekring/internal/progress"
	"github.com/stekring/stekring/keyring"
)

// printer shows what happens.
type printer interface {
	say(format string, a ...any)
	event(e any)
	frame(d *demo, t *tracker, c *crowd) // called at every look
}

type readyEvent struct {
	Event      string      `json:"event"`
	Ring       string      `json:"ring"`
	ServerName string      `json:"server_name"`
	CAFile     string      `json:"ca_file"`
	Etcd       string      `json:"etcd"`
	ConfigFile string      `json:"config_file"`
	Nodes      []readyNode `json:"nodes"`
}

type readyNode struct {
	ID      string `json:"id"`
	Address string `json:"address"`
}

type leaderEvent struct {
	Event string `json:"event"`
	Node  string `json:"node"`
	Term  int64  `json:"term"`
}

type rotationEvent struct {
	Event         string  `json:"event"`
	Epoch         uint64  `json:"epoch"`
	Version       uint64  `json:"version"`
	Leader        string  `json:"leader"`
	Active        string  `json:"active"`
	Staged        string  `json:"staged"`
	Keys          int     `json:"keys"`
	CommitToAllMS float64 `json:"commit_to_all_ms"`
}

type killedEvent struct {
	Event string `json:"event"`
	Node  string `json:"node"`
}

type summaryEvent struct {
	Event        string  `json:"event"`
	Nodes        int     `json:"nodes"`
	Seconds      float64 `json:"seconds"`
	Handshakes   int     `json:"handshakes"`
	Full         int     `json:"full"`
	Resumed      int     `json:"resumed"`
	Offered      int     `json:"offered"`
	Missed       int     `json:"missed"`
	Failed       int     `json:"failed"`
	LastFailure  string  `json:"last_failure,omitempty"`
	Rotations    int     `json:"rotations"`
	Failovers    int     `json:"failovers"`
	FailoverMaxS float64 `json:"failover_max_s"`
	ApplyP50MS   float64 `json:"apply_p50_ms"`
	ApplyP99MS   float64 `json:"apply_p99_ms"`
}

func (d *demo) ready() readyEvent {
	e := readyEvent{Event: "ready", Ring: ringName, ServerName: serverName, CAFile: d.file("ca.pem"),
		Etcd: d.etcd.Endpoint, ConfigFile: d.file("stekring.yaml")}
	for _, p := range d.places {
		e.Nodes = append(e.Nodes, readyNode{p.id, p.address})
	}
	return e
}

func (d *demo) summary(t *tracker, c *crowd) summaryEvent {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(t.applied)
	quantile := func(q float64) float64 {
		if len(t.applied) == 0 {
			return 0
		}
		return ms(t.applied[int(math.Ceil(q*float64(len(t.applied))))-1])
	}
	return summaryEvent{
		Event: "summary", Nodes: d.Nodes, Seconds: seconds(time.Since(d.start)),
		Handshakes: c.handshakes, Full: c.full, Resumed: c.resumed, Offered: c.offered, Missed: c.missed,
		Failed: c.failed, LastFailure: c.lastFailure, Rotations: t.rotations, Failovers: t.failovers,
		FailoverMaxS: seconds(t.failoverMax), ApplyP50MS: quantile(.5), ApplyP99MS: quantile(.99),
	}
}

func newPrinter(o Options) printer {
	if o.JSON {
		return &lines{out: o.Out}
	}
	return &table{out: o.Out, live: progress.Terminal(o.Out)}
}

// lines prints one JSON object an event.
type lines struct {
	mu  sync.Mutex
	out io.Writer
}

func (l *lines) say(string, ...any) {}

func (l *lines) event(e any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = json.NewEncoder(l.out).Encode(e)
}

func (l *lines) frame(*demo, *tracker, *crowd) {}

// table prints for people: a picture that stays in place on a terminal, lines
// elsewhere.
type table struct {
	mu    sync.Mutex
	out   io.Writer
	live  bool
	drawn int // lines to go back
	last  time.Time
}

func (p *table) say(format string, a ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.print(fmt.Sprintf(format, a...) + "\n")
}

// print writes above the picture, if there is one.
func (p *table) print(s string) {
	if p.drawn > 0 {
		s = fmt.Sprintf("\x1b[%dA\x1b[J%s", p.drawn, s)
		p.drawn = 0
	}
	_, _ = io.WriteString(p.out, s)
}

func (p *table) event(e any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	clock := time.Now().Format("15:04:05 ")
	switch e := e.(type) {
	case readyEvent:
		var b strings.Builder
		for _, n := range e.Nodes {
			fmt.Fprintf(&b, "  %s  https://%s\n", n.ID, n.Address)
		}
		_, port, _ := strings.Cut(e.Nodes[0].Address, ":")
		fmt.Fprintf(&b, "\nJoin in:\n  curl --cacert %s --resolve %s:%s:127.0.0.1 https://%s:%s/\n  %s status --config %s\n",
			e.CAFile, e.ServerName, port, e.ServerName, port, self(), e.ConfigFile)
		p.print(b.String() + "\n")
	case leaderEvent:
		p.print(fmt.Sprintf("%sleader    %s\n", clock, e.Node))
	case rotationEvent:
		p.print(fmt.Sprintf("%srotation  version %d on every node %.1f ms after the first; active %s, staged %s, %d keys\n",
			clock, e.Version, e.CommitToAllMS, e.Active, e.Staged, e.Keys))
	case killedEvent:
		p.print(fmt.Sprintf("%skilled    %s, which led\n", clock, e.Node))
	case summaryEvent:
		p.print(fmt.Sprintf("\n%d handshakes with %d nodes in %.0f s: %d of %d tickets resumed, %d missed, %d connections failed\n"+
			"%d rotations, each on the other nodes within %.1f ms of the first (p99, from version 2 on); %d failovers, the longest %.1f s\n",
			e.Handshakes, e.Nodes, e.Seconds, e.Resumed, e.Offered, e.Missed, e.Failed, e.Rotations, e.ApplyP99MS, e.Failovers, e.FailoverMaxS))
	}
}

// self is how the command was called.
func self() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ."
	}
	return os.Args[0]
}

func (p *table) frame(d *demo, t *tracker, c *crowd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	every := 5 * time.Second
	if p.live {
		every = 200 * time.Millisecond
	}
	if now.Sub(p.last) < every {
		return
	}
	p.last = now
	c.mu.Lock()
	counts := fmt.Sprintf("%d handshakes, %d of %d tickets resumed, %d missed", c.handshakes, c.resumed, c.offered, c.missed)
	c.mu.Unlock()
	if !p.live {
		p.print(now.Format("15:04:05 ") + "clients   " + counts + "\n")
		return
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\nNODE\tROLE\tVERSION\tSEALS WITH\tKEYS\tNEXT ROTATION\n")
	for i, s := range t.statuses {
		if s.ID == "" {
			fmt.Fprintf(w, "%s\tdown\t-\t-\t-\t-\n", d.places[i].id)
			continue
		}
		role := "follows"
		if s.Leader {
			role = "leads"
		}
		next := max(0, s.Seen.Add(d.policy.Interval).Sub(now))
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%.1fs\n", s.ID, role, s.Info.Version, s.Sealing, strip(s.Info.Keys), next.Seconds())
	}
	_ = w.Flush()
	fmt.Fprintf(&b, "\nS staged, A active, r retired\n%s\n", counts)
	p.print(b.String())
	p.drawn = strings.Count(b.String(), "\n")
}

// strip draws a ring's keys: S staged, A active, r retired.
func strip(keys []keyring.Key) string {
	var b strings.Builder
	b.WriteByte('S')
	for _, k := range keys {
		switch k.Role {
		case keyring.Active:
			b.WriteByte('A')
		case keyring.Retired:
			b.WriteByte('r')
		}
	}
	return b.String()
}
