package metrics_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/stekring/stekring/internal/etcd/memory"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/keyring/seal"
	"github.com/stekring/stekring/tlsbind/metrics"
)

// node is a Rotator and a look at it.
type node struct {
	t   *testing.T
	rot *rotator.Rotator
	reg *prometheus.Registry
	now map[string]float64
}

// enter returns a node that does not run yet.
func enter(t *testing.T, etcd *memory.Etcd, kek *seal.KEK) *node {
	t.Helper()
	client := etcd.Client()
	t.Cleanup(func() { _ = client.Close() })
	rot, err := rotator.New(rotator.Config{Client: client, Ring: "www", KEK: kek, Policy: short})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, rot: rot, reg: prometheus.NewPedanticRegistry()}
	n.reg.MustRegister(metrics.New(rot))
	return n
}

// run runs the node until the test ends.
func (n *node) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = n.rot.Run(ctx) }()
	n.t.Cleanup(func() { cancel(); <-done })
}

func (n *node) look() { n.t.Helper(); _, n.now = scrape(n.t, n.reg) }

// value is that of a series as last looked at; NaN is none.
func (n *node) value(name string) float64 {
	if v, ok := n.now[`stekring_`+name+`{ring="www"}`]; ok {
		return v
	}
	return math.NaN()
}

// wants looks once more, and compares.
func (n *node) wants(when string, want map[string]float64, problem rotator.Cause) {
	n.t.Helper()
	n.look()
	for name, v := range want {
		if got := n.value(name); got != v && !(math.IsNaN(got) && math.IsNaN(v)) {
			n.t.Errorf("%s: %s is %v, want %v", when, name, got, v)
		}
	}
	for _, cause := range []rotator.Cause{"unreachable", "stalled", "missing", "rolled_back", "fork", "unknown_kek", "format", "refused"} {
		v, ok := n.now[fmt.Sprintf(`stekring_problem{cause="%s",ring="www"}`, cause)]
		if !ok || v != map[bool]float64{true: 1}[cause == problem] {
			n.t.Errorf("%s: problem %s is %v, %t, with %q", when, cause, v, ok, problem)
		}
	}
}

// near compares what depends on a moment.
func (n *node) near(when, name string, want float64) {
	n.t.Helper()
	if got := n.value(name); !(math.Abs(got-want) < 10) {
		n.t.Errorf("%s: %s is %v, want about %v", when, name, got, want)
	}
}

// short has keys that seal for two hours at most.
var short = keyring.Policy{Interval: time.Hour, TicketLifetime: 2 * time.Hour}

// TestRingThroughAnOutage is hours of one node, which leads.
func TestRingThroughAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd, kek := memory.New(), seal.NewKEK()
		n := enter(t, etcd, kek)
		unknown := math.NaN()
		n.wants("before it runs", map[string]float64{
			"ring_version": 0, "ring_epoch": 0, "ring_keys": 0, "ring_age_seconds": unknown, "ring_apply_lag_seconds": unknown,
			"ring_stale": 0, "rotation_overdue_seconds": 0, "rotations_total": 0, "is_leader": 0, "sealing_locally": 1,
			"etcd_last_contact_timestamp_seconds": 0,
		}, "")

		n.run()
		time.Sleep(time.Minute)
		n.wants("the first ring", map[string]float64{
			"ring_version": 1, "ring_epoch": 1, "ring_keys": 2, "ring_apply_lag_seconds": unknown, "ring_stale": 0,
			"rotation_overdue_seconds": 0, "rotations_total": 0, "is_leader": 1, "sealing_locally": 0,
		}, "")
		n.near("the first ring", "ring_age_seconds", 60)
		if got, now := n.value("etcd_last_contact_timestamp_seconds"), float64(time.Now().Unix()); now-got > 31 || got > now {
			t.Errorf("last contact %v at %v, want half a minute ago at most", got, now)
		}

		time.Sleep(time.Hour)
		n.wants("rotated", map[string]float64{
			"ring_version": 2, "ring_epoch": 1, "ring_keys": 3, "ring_apply_lag_seconds": 0, "rotations_total": 1, "rotation_overdue_seconds": 0,
		}, "")
		other := enter(t, etcd, seal.NewKEK())
		other.run()
		time.Sleep(time.Minute)
		other.wants("without the KEK", map[string]float64{"ring_version": 0, "is_leader": 0, "sealing_locally": 1}, rotator.UnknownKEK)

		n.look()
		etcd.Down()
		contact := n.value("etcd_last_contact_timestamp_seconds")
		time.Sleep(90 * time.Minute)
		n.wants("90 minutes without etcd", map[string]float64{
			"ring_version": 2, "ring_stale": 0, "sealing_locally": 0, "is_leader": 0, "ring_keys": 3,
			"etcd_last_contact_timestamp_seconds": contact,
		}, rotator.Unreachable)
		n.near("90 minutes without etcd", "ring_age_seconds", 92*60)
		n.near("90 minutes without etcd", "rotation_overdue_seconds", 32*60)
		time.Sleep(time.Hour)
		n.wants("190 minutes without etcd", map[string]float64{"ring_stale": 1, "sealing_locally": 1}, rotator.Unreachable)

		etcd.Up()
		time.Sleep(time.Minute)
		n.wants("healed", map[string]float64{
			"ring_version": 3, "ring_epoch": 1, "ring_stale": 0, "sealing_locally": 0, "rotation_overdue_seconds": 0, "rotations_total": 2,
		}, "")

		families, err := n.reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		problems, err := promlint.NewWithMetricFamilies(families).Lint()
		if err != nil || len(families) < 17 {
			t.Errorf("linting %d families: %v", len(families), err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	})
}
