package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"ravenswood.dev/internal/supervise"
	"ravenswood.dev/internal/telemetry"
)

// processCollector gives Prometheus what the status says of the services' processes, so that both always agree.
type processCollector struct{ node *Node }

var _ prometheus.Collector = (*processCollector)(nil)

// Describe is for Prometheus.
func (c *processCollector) Describe(to chan<- *prometheus.Desc) {
	up, restarts := processDescs()
	to <- up
	to <- restarts
}

// Collect is for Prometheus.
func (c *processCollector) Collect(to chan<- prometheus.Metric) {
	up, restarts := processDescs()
	for _, p := range c.node.processes() {
		ready := 0.0
		if p.State == string(supervise.Ready) {
			ready = 1
		}
		to <- prometheus.MustNewConstMetric(up, prometheus.GaugeValue, ready, p.Service, p.Version)
		to <- prometheus.MustNewConstMetric(restarts, prometheus.CounterValue, float64(p.Restarts), p.Service, p.Version)
	}
}

func processDescs() (up, restarts *prometheus.Desc) {
	labels := []string{telemetry.LabelService, telemetry.LabelVersion}
	return prometheus.NewDesc(telemetry.ProcessUp, "1 while the service version's process is ready.", labels, nil),
		prometheus.NewDesc(telemetry.ProcessRestarts, "Times the process ended by itself and was started again.", labels, nil)
}
