package engine

import (
	"github.com/prometheus/client_golang/prometheus"

	"ravenswood.dev/internal/telemetry"
)

// collector gives Prometheus the numbers of Status, so that both always agree.
type collector struct {
	engine *Engine
	descs  map[string]*prometheus.Desc
}

// measure is one number of a topology.
type measure struct {
	name   string
	help   string
	kind   prometheus.ValueType
	labels []string
}

var measures = []measure{
	{telemetry.RecordsIn, "Records read and committed.", prometheus.CounterValue, nil},
	{telemetry.RecordsOut, "Records written to topic sinks and committed.", prometheus.CounterValue, nil},
	{telemetry.DeadLetters, "Records that became dead letters.", prometheus.CounterValue, nil},
	{telemetry.RecordsLost, "Records that the log deleted before they were read.", prometheus.CounterValue, nil},
	{telemetry.WorkerRestarts, "Times a worker began again from the last commit.", prometheus.CounterValue, nil},
	{telemetry.InFlight, "Records read and not yet released for commit.", prometheus.GaugeValue, nil},
	{telemetry.Lag, "Records below the last stable offset that are not committed yet.", prometheus.GaugeValue, nil},
	{telemetry.Parked, "Records waiting for their key.", prometheus.GaugeValue, nil},
	{telemetry.OldestAge, "Age of the record that holds back a commit the longest.", prometheus.GaugeValue, nil},
	{telemetry.OpenTransaction, "For how long a transaction that is not decided has kept records of an input from being read.", prometheus.GaugeValue, nil},
	{telemetry.TopologyUp, "1 while the topology runs in this process.", prometheus.GaugeValue, nil},
	{telemetry.CommitSeconds, "Time of a commit.", prometheus.GaugeValue, []string{telemetry.LabelQuantile}},
	{telemetry.BoltRecords, "Records a bolt has worked on.", prometheus.CounterValue, []string{telemetry.LabelBolt}},
	{telemetry.BoltErrors, "Attempts of a bolt that failed.", prometheus.CounterValue, []string{telemetry.LabelBolt}},
	{telemetry.BoltRetries, "Attempts of a bolt after the first.", prometheus.CounterValue, []string{telemetry.LabelBolt}},
	{telemetry.SinkRecords, "Records delivered to an outside sink.", prometheus.CounterValue, []string{telemetry.LabelSink}},
	{telemetry.SinkLag, "Records on the log that an outside sink has not got yet.", prometheus.GaugeValue, []string{telemetry.LabelSink}},
	{telemetry.SpoutRecords, "Records an outside spout has brought in.", prometheus.CounterValue, []string{telemetry.LabelSpout}},
}

func newCollector(e *Engine) *collector {
	c := &collector{engine: e, descs: make(map[string]*prometheus.Desc)}
	own := prometheus.Labels{telemetry.LabelTopology: e.plan.Name}
	for _, m := range measures {
		c.descs[m.name] = prometheus.NewDesc(m.name, m.help, m.labels, own)
	}
	for _, m := range stageMeasures {
		c.descs[m.name] = prometheus.NewDesc(m.name, m.help, m.labels, own)
	}
	c.descs[telemetry.BoltSeconds] = prometheus.NewDesc(telemetry.BoltSeconds, "Time of a bolt's attempts.", []string{telemetry.LabelBolt}, own)
	return c
}

// Describe is part of prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect is part of prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	st := c.engine.Status()
	send := func(name string, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(c.descs[name], kindOf(name), value, labels...)
	}
	send(telemetry.RecordsIn, float64(st.In))
	send(telemetry.RecordsOut, float64(st.Out))
	send(telemetry.DeadLetters, float64(st.Dead))
	send(telemetry.RecordsLost, float64(st.Lost))
	send(telemetry.WorkerRestarts, float64(st.Restarts))
	send(telemetry.InFlight, float64(st.InFlight))
	send(telemetry.Lag, float64(st.Lag))
	send(telemetry.Parked, float64(st.Parked))
	age, undecided, up := 0.0, 0.0, 0.0
	if st.Oldest != nil {
		age = st.Oldest.Age.Seconds()
	}
	if st.Undecided != nil {
		undecided = st.Undecided.Age.Seconds()
	}
	if st.State == "running" {
		up = 1
	}
	send(telemetry.OldestAge, age)
	send(telemetry.OpenTransaction, undecided)
	send(telemetry.TopologyUp, up)
	send(telemetry.CommitSeconds, st.CommitP50/1000, "0.5")
	send(telemetry.CommitSeconds, st.CommitP99/1000, "0.99")
	for i, b := range c.engine.bolts {
		send(telemetry.BoltRecords, float64(st.Bolts[i].Records), b.name)
		send(telemetry.BoltErrors, float64(st.Bolts[i].Errors), b.name)
		send(telemetry.BoltRetries, float64(st.Bolts[i].Retries), b.name)
		out <- c.histogram(b)
	}
	sendStages(&st, send)
	for _, d := range st.Deliveries {
		send(telemetry.SinkRecords, float64(d.Records), d.Sink)
		send(telemetry.SinkLag, float64(d.Lag), d.Sink)
	}
	for _, f := range st.Feeds {
		send(telemetry.SpoutRecords, float64(f.Records), f.Spout)
	}
}

func kindOf(name string) prometheus.ValueType {
	for _, list := range [][]measure{measures, stageMeasures} {
		for _, m := range list {
			if m.name == name {
				return m.kind
			}
		}
	}
	return prometheus.UntypedValue
}

// histogram gives a bolt's latencies in buckets of powers of two from one millisecond to eight seconds and more.
func (c *collector) histogram(b *boltStats) prometheus.Metric {
	buckets := make(map[float64]uint64)
	var total uint64
	next := 1 << 10 // microseconds
	for i := range b.latency.buckets {
		if upper(i).Microseconds() > int64(next) && next <= 1<<23 {
			buckets[float64(next)/1e6] = total
			next <<= 1
		}
		total += uint64(b.latency.buckets[i].Load())
	}
	return prometheus.MustNewConstHistogram(c.descs[telemetry.BoltSeconds], total, float64(b.latency.sum.Load())/1e9, buckets, b.name)
}
