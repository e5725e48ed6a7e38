package metrics

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stekring/stekring/keyring/rotator"
)

// causes are those that rotator.Status can name.
var causes = [...]rotator.Cause{
	rotator.Unreachable, rotator.Stalled, rotator.Missing, rotator.RolledBack,
	rotator.Fork, rotator.UnknownKEK, rotator.Format, rotator.Refused,
}

// gauges are read from a Status at an instant. One that is not a number is not
// known, and not shown.
var gauges = [...]struct {
	name, help string
	value      func(s rotator.Status, now time.Time) float64
}{
	{"ring_version", "Version of the fleet's ring. 0 until the ring is known.",
		func(s rotator.Status, _ time.Time) float64 { return float64(s.Info.Version) }},
	{"ring_epoch", "Epoch of the fleet's ring; it rises by a revoke. 0 until the ring is known.",
		func(s rotator.Status, _ time.Time) float64 { return float64(s.Info.Epoch) }},
	{"ring_keys", "Keys in the fleet's ring, the staged one included.",
		func(s rotator.Status, _ time.Time) float64 { return float64(len(s.Info.Keys)) }},
	{"ring_age_seconds", "How long the active key of the fleet's ring has been active.",
		func(s rotator.Status, now time.Time) float64 {
			if len(s.Info.Keys) == 0 {
				return math.NaN()
			}
			return (now.Sub(s.Seen) + s.Info.Keys[0].Sealed).Seconds()
		}},
	{"ring_apply_lag_seconds", "How long the fleet's ring had been written when this node took it, by their two clocks.",
		func(s rotator.Status, _ time.Time) float64 {
			if s.LagMS < 0 {
				return math.NaN()
			}
			return float64(s.LagMS) / 1000
		}},
	{"ring_stale", "1 once the active key of the fleet's ring must not seal any more.",
		func(s rotator.Status, now time.Time) float64 { return flag(!s.Stale.IsZero() && !now.Before(s.Stale)) }},
	{"rotation_overdue_seconds", "How late the next rotation is.",
		func(s rotator.Status, now time.Time) float64 {
			if s.Due.IsZero() {
				return 0
			}
			return max(0, now.Sub(s.Due).Seconds())
		}},
	{"is_leader", "1 while this node leads.",
		func(s rotator.Status, _ time.Time) float64 { return flag(s.Leader) }},
	{"sealing_locally", "1 while this node seals with a key of its own.",
		func(s rotator.Status, _ time.Time) float64 { return flag(s.Local) }},
	{"etcd_last_contact_timestamp_seconds", "When etcd, being asked, last told what the fleet's ring is. 0 until it has.",
		func(s rotator.Status, _ time.Time) float64 {
			if s.Heard.IsZero() {
				return 0
			}
			return float64(s.Heard.UnixMilli()) / 1000
		}},
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// ring is the metrics of a Rotator.
type ring struct {
	rot                *rotator.Rotator
	gauges             [len(gauges)]*prometheus.Desc
	rotations, problem *prometheus.Desc
}

func newRing(rot *rotator.Rotator, label prometheus.Labels) *ring {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("stekring_"+name, help, labels, label)
	}
	r := &ring{
		rot:       rot,
		rotations: desc("rotations_total", "Rotations that this node has committed, revokes included."),
		problem:   desc("problem", "1 while there is a problem of that cause with etcd or its ring.", "cause"),
	}
	for i, g := range gauges {
		r.gauges[i] = desc(g.name, g.help)
	}
	return r
}

func (r *ring) describe(ch chan<- *prometheus.Desc) {
	for _, d := range r.gauges {
		ch <- d
	}
	ch <- r.rotations
	ch <- r.problem
}

func (r *ring) collect(ch chan<- prometheus.Metric) {
	s, now := r.rot.Status(), time.Now()
	for i, g := range gauges {
		if v := g.value(s, now); !math.IsNaN(v) {
			ch <- prometheus.MustNewConstMetric(r.gauges[i], prometheus.GaugeValue, v)
		}
	}
	ch <- prometheus.MustNewConstMetric(r.rotations, prometheus.CounterValue, float64(s.Rotated))
	for _, c := range causes {
		ch <- prometheus.MustNewConstMetric(r.problem, prometheus.GaugeValue, flag(s.Cause == c), string(c))
	}
}
