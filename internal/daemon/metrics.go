package daemon

import (
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/stekring/stekring/tlsbind/metrics"
)

// exposition serves a node's metrics. They have a registry of their own: etcd,
// where it is embedded, fills the default one with hundreds of series.
func exposition(m *metrics.Metrics, ring, build string, failing *atomic.Int64) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(m,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "stekring_build_info", Help: "Always 1; the version is a label.",
			ConstLabels: prometheus.Labels{"ring": ring, "version": build}}, func() float64 { return 1 }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "stekring_listeners_failing", Help: "Listeners whose last check failed.",
			ConstLabels: prometheus.Labels{"ring": ring}}, func() float64 { return float64(failing.Load()) }))
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg})
}
