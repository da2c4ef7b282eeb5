package apache

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The fixed ports of a cluster that stays: broker n listens on the port of its kind plus n-1.
const (
	firstPort           = 9092
	firstSASLPort       = 9192
	firstControllerPort = 9292
)

// plan gives every broker a folder and its ports.
func (c *Cluster) plan(ctx context.Context) error {
	for i := range c.options.Brokers {
		s := &server{ID: i + 1, Dir: filepath.Join(c.dir, fmt.Sprintf("broker-%d", i+1))}
		if c.options.Stay {
			s.Port, s.SASLPort, s.ControllerPort = firstPort+i, firstSASLPort+i, firstControllerPort+i
		} else {
			ports, err := freePorts(ctx, 3)
			if err != nil {
				return err
			}
			s.Port, s.SASLPort, s.ControllerPort = ports[0], ports[1], ports[2]
		}
		c.brokers = append(c.brokers, s)
	}
	return nil
}

// freePorts finds ports that are free now. Somebody may take one before Kafka does; then Kafka says so and ends.
func freePorts(ctx context.Context, n int) (ports []int, err error) {
	for range n {
		var config net.ListenConfig
		l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// properties is a broker's server.properties.
func (c *Cluster) properties(s *server) []byte {
	lines := c.settings(s)
	if c.options.Brokers > 1 {
		maps.Copy(lines, failover)
	}
	maps.Copy(lines, c.options.Settings)
	var out bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(&out, "%s=%s\n", key, lines[key])
	}
	return out.Bytes()
}

// failover are settings under which the others notice within seconds that a broker is gone.
var failover = map[string]string{
	"broker.session.timeout.ms": "4000", "broker.heartbeat.interval.ms": "500", "replica.lag.time.max.ms": "4000",
}

func (c *Cluster) settings(s *server) map[string]string {
	var voters []string
	for _, b := range c.brokers {
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", b.ID, b.ControllerPort))
	}
	clients := fmt.Sprintf("PLAINTEXT://127.0.0.1:%d,SASL://127.0.0.1:%d", s.Port, s.SASLPort)
	replicas, inSync := strconv.Itoa(c.options.Brokers), strconv.Itoa((c.options.Brokers+1)/2)
	const login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	return map[string]string{
		"process.roles": "broker,controller", "node.id": strconv.Itoa(s.ID), "log.dirs": filepath.Join(s.Dir, "data"),
		"controller.quorum.voters": strings.Join(voters, ","), "controller.listener.names": "CONTROLLER",
		"listeners":            fmt.Sprintf("%s,CONTROLLER://127.0.0.1:%d", clients, s.ControllerPort),
		"advertised.listeners": clients, "inter.broker.listener.name": "PLAINTEXT",
		"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",

		// Who comes without a name may do everything; on the other listener the rules hold.
		"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":           "User:ANONYMOUS;User:" + AdminUser,
		"listener.name.sasl.sasl.enabled.mechanisms":                   "SCRAM-SHA-256,SCRAM-SHA-512",
		"listener.name.sasl.scram-sha-256.sasl.jaas.config":            login,
		"listener.name.sasl.scram-sha-512.sasl.jaas.config":            login,
		"listener.name.sasl.connection.failed.authentication.delay.ms": "50",

		"default.replication.factor": replicas, "min.insync.replicas": inSync, "num.partitions": "2",
		"offsets.topic.replication.factor": replicas, "offsets.topic.num.partitions": "4",
		"transaction.state.log.replication.factor": replicas, "transaction.state.log.min.isr": inSync,
		"transaction.state.log.num.partitions":             "4",
		"share.coordinator.state.topic.replication.factor": replicas, "share.coordinator.state.topic.min.isr": inSync,

		// Nobody wants to wait for housekeeping in a test.
		"group.initial.rebalance.delay.ms": "0", "group.min.session.timeout.ms": "500",
		"log.initial.task.delay.ms": "500", "log.retention.check.interval.ms": "500", "log.cleaner.backoff.ms": "200",
		"log.segment.delete.delay.ms":                                 "500",
		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "300",
		"connection.failed.authentication.delay.ms":                   "50",
	}
}
