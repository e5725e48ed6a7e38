package daemon

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/stekring/stekring/tlsbind/metrics"
)

// exposition serves a node's metrics. They have a registry of their own: etcd,
// where it is embedded, fills the default one with hundreds of series.
func exposition(m *metrics.Metrics, ring, build string) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(m,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "stekring_build_info", Help: "Always 1; the version is a label.",
			ConstLabels: prometheus.Labels{"ring": ring, "version": build}}, func() float64 { return 1 }))
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg})
}
