//go:build ownbroker

package kafkatest_test

import (
	"context"
	"testing"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/server"
	"ravenswood.dev/internal/kafka/kafkatest"
)

const brokerPassword = "admin-secret"

// TestConformanceOfTheBroker runs the list on our own broker.
func TestConformanceOfTheBroker(t *testing.T) {
	p := startProcess(t, "raven")
	report(t, kafkatest.Run(t, kafkatest.Target{
		Name:    "raven",
		Seed:    p.addr(0),
		SASL:    &kafkatest.SASL{Seed: p.addr(1), User: "admin", Password: brokerPassword},
		Restart: p.restart,
	}))
}

func beginBroker(p *process) error {
	_, err := broker.Start(context.Background(), broker.Options{
		Dir:      p.dir,
		Listener: broker.Listener{Addr: p.addr(0)},
		More:     []broker.Listener{{Addr: p.addr(1), Listener: server.Listener{Mechanisms: []acl.Mechanism{acl.ScramSHA256}}}},
		Security: server.Security{Authorize: true, SuperUsers: []acl.Principal{acl.Anonymous, "User:admin"}, Users: map[string]string{"admin": brokerPassword}},
		Settings: map[string]string{
			"group.min.session.timeout.ms": "500", "log.cleaner.backoff.ms": "200", "log.retention.check.interval.ms": "500",
		},
	})
	return err
}
