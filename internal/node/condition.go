package node

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ravenswood.dev/internal/admin"
	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/broker/server"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/telemetry"
)

// conditions tells what lasts and a person has to look after, in the same words everywhere.
func conditions(b *broker.Broker) []admin.Condition {
	if b == nil {
		return nil
	}
	var all []admin.Condition
	if b.DiskFull() {
		all = append(all, admin.Condition{
			Code: "broker-disk-full", Title: "the disk of the embedded broker is full",
			Text: "records are refused and senders wait; what is there is read and committed", Hint: "make room; everything goes on by itself then",
		})
	}
	if err := b.JournalError(); err != nil {
		all = append(all, admin.Condition{
			Code: "broker-journal-broken", Title: "the journal of the embedded broker takes nothing any more",
			Text: err.Error(), Hint: "look after the disk, then start the node again: it goes on from what is durable",
		})
	}
	for _, d := range b.Damages() {
		all = append(all, admin.Condition{
			Code: "broker-partition-damaged", Title: fmt.Sprintf("partition %s/%d is damaged and serves nobody", d.Topic, d.Partition),
			Text: d.Err.Error(), Hint: "stop the node, then `raven doctor` says what can be saved",
		})
	}
	return all
}

// restoring tells which tasks of a topology do not work yet, because their stores are being restored.
func restoring(s engine.Status) []admin.Condition {
	tasks := s.Restoring()
	if len(tasks) == 0 {
		return nil
	}
	return []admin.Condition{{
		Code: "restoring", Title: fmt.Sprintf("topology %q restores stores", s.Topology),
		Text: strings.Join(tasks, "; "), Hint: "nothing is to be done: the other tasks work, and these follow",
	}}
}

// inFuture tells which tasks of a topology were taken into the future by a record.
func inFuture(s engine.Status, now time.Time) []admin.Condition {
	tasks := s.Ahead(now)
	if len(tasks) == 0 {
		return nil
	}
	return []admin.Condition{{
		Code: "stream-time-ahead", Title: fmt.Sprintf("stream time of topology %q is ahead of the clock", s.Topology),
		Text: strings.Join(tasks, "; ") + ": a record said so, and what comes after it may be too late for its windows",
		Hint: "keep such times out by an expression, then `raven table reset` begins anew (docs/concepts/state.md, Time)",
	}}
}

// brokerNumbers counts what the embedded broker does. It implements prometheus.Collector.
type brokerNumbers struct {
	broker *broker.Broker

	mu       sync.Mutex
	requests map[string]requestNumbers // GUARDED_BY(mu); by kind of request, of which there are some seventy
	produced int64                     // GUARDED_BY(mu); bytes
	fetched  int64                     // GUARDED_BY(mu); bytes
}

type requestNumbers struct {
	count int64
	took  time.Duration
}

var _ prometheus.Collector = (*brokerNumbers)(nil)

func newBrokerNumbers() *brokerNumbers { return &brokerNumbers{requests: map[string]requestNumbers{}} }

// tap is how the broker tells.
func (n *brokerNumbers) tap() server.Hooks { return server.Hooks{Done: n.done, Bytes: n.bytes} }

func (n *brokerNumbers) done(r server.Request, took time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	was := n.requests[r.Kind]
	n.requests[r.Kind] = requestNumbers{count: was.count + 1, took: was.took + took}
}

func (n *brokerNumbers) bytes(_ string, produced, fetched int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.produced += int64(produced)
	n.fetched += int64(fetched)
}

// Describe is for Prometheus.
func (n *brokerNumbers) Describe(to chan<- *prometheus.Desc) {
	for _, d := range brokerDescs() {
		to <- d
	}
}

// Collect is for Prometheus.
func (n *brokerNumbers) Collect(to chan<- prometheus.Metric) {
	d := brokerDescs()
	full := 0.0
	if n.broker.DiskFull() {
		full = 1
	}
	to <- prometheus.MustNewConstMetric(d[0], prometheus.GaugeValue, full)
	to <- prometheus.MustNewConstMetric(d[1], prometheus.GaugeValue, float64(len(n.broker.Damages())))
	n.mu.Lock()
	defer n.mu.Unlock()
	to <- prometheus.MustNewConstMetric(d[2], prometheus.CounterValue, float64(n.produced))
	to <- prometheus.MustNewConstMetric(d[3], prometheus.CounterValue, float64(n.fetched))
	for kind, r := range n.requests {
		to <- prometheus.MustNewConstMetric(d[4], prometheus.CounterValue, float64(r.count), kind)
		to <- prometheus.MustNewConstMetric(d[5], prometheus.CounterValue, r.took.Seconds(), kind)
	}
}

func brokerDescs() [6]*prometheus.Desc {
	request := []string{telemetry.LabelRequest}
	return [6]*prometheus.Desc{
		prometheus.NewDesc(telemetry.BrokerDiskFull, "1 while the embedded broker refuses records because its disk is full.", nil, nil),
		prometheus.NewDesc(telemetry.BrokerFenced, "Partitions of the embedded broker that serve nobody because their files are damaged.", nil, nil),
		prometheus.NewDesc(telemetry.BrokerProduced, "Bytes of produce requests that the embedded broker took.", nil, nil),
		prometheus.NewDesc(telemetry.BrokerFetched, "Bytes of record batches that the embedded broker handed out.", nil, nil),
		prometheus.NewDesc(telemetry.BrokerRequests, "Requests that the embedded broker answered, by their kind.", request, nil),
		prometheus.NewDesc(telemetry.BrokerRequestSeconds, "Seconds until the answers to these requests were ready, in sum; a fetch waits for records.", request, nil),
	}
}
