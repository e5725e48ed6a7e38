// Package metrics shows Prometheus what a fleet's ring does on a node, and what
// happens to the tickets of the servers there. Only who imports it links
// Prometheus.
//
//	m := metrics.New(rot)
//	prometheus.MustRegister(m)
//	b := tlsbind.Binder{Source: rot, Observe: m.Observe}
package metrics

import (
	"crypto/tls"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/tlsbind"
)

// What labels can say, each in the order of its index. There are no others, so
// that nothing a client does makes a series.
var (
	versions = [...]string{"other", "1.2", "1.3"}
	roles    = [...]string{"unknown", "active", "retired", "staged"} // as keyring.Role
	modes    = [...]string{"full", "resumed"}                        // from tlsbind.Full on
	reasons  = [...]string{"no_key", "too_large", "too_old", "no_age", "elsewhere"}
)

// ages are from seconds to the week that no ticket outlives.
var ages = []float64{1, 10, 60, 300, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600, 3 * 24 * 3600, 7 * 24 * 3600}

// Metrics is a prometheus.Collector. It knows no registry: give it to one. Its
// methods are safe for concurrent use.
type Metrics struct {
	ring    *ring
	vectors []prometheus.Collector

	// Every series there can be, so that a handshake looks for none.
	issued     [len(versions)]prometheus.Counter
	opened     [len(versions)][len(roles)]prometheus.Counter
	missed     [len(versions)][len(reasons)]prometheus.Counter
	handshakes [len(versions)][len(modes)]prometheus.Counter
	age        [len(roles)]prometheus.Observer
}

// New returns the metrics of rot, and of the Binders whose Observe is that of
// the Metrics. All of them have the ring as a label.
func New(rot *rotator.Rotator) *Metrics {
	label := prometheus.Labels{"ring": rot.Status().Ring}
	m := &Metrics{ring: newRing(rot, label)}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "stekring_" + name, Help: help, ConstLabels: label}, labels)
		m.vectors = append(m.vectors, v)
		return v
	}
	issued := counters("tickets_issued_total", "Tickets that were sealed.", "tls")
	opened := counters("tickets_opened_total", "Tickets that were opened, by what their key does now.", "tls", "role")
	missed := counters("tickets_missed_total", "Tickets that were not taken, by why.", "tls", "reason")
	handshakes := counters("handshakes_total", "Handshakes, by whether they resumed.", "tls", "mode")
	age := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "stekring_ticket_age_seconds", Help: "How long ago tickets that were opened had been issued, where that is known.",
		ConstLabels: label, Buckets: ages,
	}, []string{"role"})
	m.vectors = append(m.vectors, age)
	for v, version := range versions {
		m.issued[v] = issued.WithLabelValues(version)
		for i, role := range roles {
			m.opened[v][i] = opened.WithLabelValues(version, role)
		}
		for i, reason := range reasons {
			m.missed[v][i] = missed.WithLabelValues(version, reason)
		}
		for i, mode := range modes {
			m.handshakes[v][i] = handshakes.WithLabelValues(version, mode)
		}
	}
	for i, role := range roles {
		m.age[i] = age.WithLabelValues(role)
	}
	return m
}

// Observe counts an event. It is a tlsbind.Binder's Observe: it takes no lock and
// allocates nothing.
func (m *Metrics) Observe(e tlsbind.Event) {
	v := 0
	switch e.Version {
	case tls.VersionTLS12:
		v = 1
	case tls.VersionTLS13:
		v = 2
	}
	switch e.Kind {
	case tlsbind.Issued:
		m.issued[v].Inc()
	case tlsbind.Opened:
		role := int(e.Role)
		if role >= len(roles) {
			role = 0
		}
		m.opened[v][role].Inc()
		if e.Age >= 0 {
			m.age[role].Observe(e.Age.Seconds())
		}
	case tlsbind.NoKey, tlsbind.TooLarge, tlsbind.TooOld, tlsbind.NoAge, tlsbind.Elsewhere:
		m.missed[v][e.Kind-tlsbind.NoKey].Inc()
	case tlsbind.Full, tlsbind.Resumed:
		m.handshakes[v][e.Kind-tlsbind.Full].Inc()
	}
}

// Describe is of prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.ring.describe(ch)
	for _, v := range m.vectors {
		v.Describe(ch)
	}
}

// Collect is of prometheus.Collector. It never blocks on etcd.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.ring.collect(ch)
	for _, v := range m.vectors {
		v.Collect(ch)
	}
}
