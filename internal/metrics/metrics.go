// Package metrics shows a Rotator to Prometheus, in a registry of its own:
// etcd, where it is embedded, fills the default one with hundreds of series.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/stekring/stekring/keyring/rotator"
)

// Handler serves the metrics of rot, read when they are asked for.
func Handler(rot *rotator.Rotator, build string) http.Handler {
	reg := prometheus.NewRegistry()
	labels := prometheus.Labels{"ring": rot.Status().Ring}
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("stekring_"+name, help, nil, labels)
	}
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "stekring_build_info", Help: "Always 1; the version is a label.",
			ConstLabels: prometheus.Labels{"version": build}}, func() float64 { return 1 }),
		&collector{rot: rot,
			epoch:     desc("ring_epoch", "Epoch of the fleet's ring; it rises by a revoke. 0 until the ring is known."),
			version:   desc("ring_version", "Version of the fleet's ring. 0 until the ring is known."),
			age:       desc("ring_age_seconds", "How long the active key of the fleet's ring has been active."),
			keys:      desc("ring_keys", "Keys in the fleet's ring, the staged one included."),
			local:     desc("sealing_locally", "1 while this node seals with a key of its own."),
			leader:    desc("is_leader", "1 while this node leads."),
			rotations: desc("rotations_total", "Rotations that this node has committed, revokes included."),
			problem:   desc("etcd_problem", "1 while etcd does not answer or its ring is refused."),
		})
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg})
}

type collector struct {
	rot                                                          *rotator.Rotator
	epoch, version, age, keys, local, leader, rotations, problem *prometheus.Desc
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.epoch, c.version, c.age, c.keys, c.local, c.leader, c.rotations, c.problem} {
		ch <- d
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.rot.Status()
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	flag := func(d *prometheus.Desc, on bool) {
		v := 0.0
		if on {
			v = 1
		}
		gauge(d, v)
	}
	gauge(c.epoch, float64(s.Info.Epoch))
	gauge(c.version, float64(s.Info.Version))
	gauge(c.keys, float64(len(s.Info.Keys)))
	if len(s.Info.Keys) > 0 {
		gauge(c.age, (time.Since(s.Seen) + s.Info.Keys[0].Sealed).Seconds())
	}
	flag(c.local, s.Local)
	flag(c.leader, s.Leader)
	flag(c.problem, s.Problem != "")
	ch <- prometheus.MustNewConstMetric(c.rotations, prometheus.CounterValue, float64(s.Rotated))
}
