package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/node"
	"ravenswood.dev/internal/topology"
)

// cluster is the log that is measured on.
type cluster struct {
	cfg    kafka.Config
	admin  *kafka.Admin
	client *kgo.Client // for what Admin cannot do
	dir    string
	stop   func() error
}

const partitions = 8

func newCluster(ctx context.Context, o Options) (*cluster, error) {
	dir, err := os.MkdirTemp("", "raven-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a folder to measure in: %w", err)
	}
	c := &cluster{dir: dir, cfg: kafka.Config{Brokers: o.Brokers, ClientID: "raven-bench", Log: o.Log}, stop: func() error { return nil }}
	if len(o.Brokers) == 0 {
		b, err := node.StartBroker(ctx, node.Options{Data: dir, Listen: "127.0.0.1:0", Log: o.Log})
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		c.cfg.Brokers, c.stop = []string{b.Addr()}, b.Close
	}
	if c.admin, err = kafka.NewAdmin(c.cfg); err == nil {
		c.client, err = kgo.NewClient(c.cfg.Options()...)
	}
	if err != nil {
		return nil, errors.Join(err, c.stop(), os.RemoveAll(dir))
	}
	return c, nil
}

func (c *cluster) close() {
	c.client.Close()
	c.admin.Close()
	_ = c.stop() // the folder goes now; nobody reads what was not written
	_ = os.RemoveAll(c.dir)
}

// topic makes a topic. Names get a time, so that a cluster of the user's is never written over.
func (c *cluster) topic(ctx context.Context, name string) error {
	_, err := c.admin.EnsureTopics(ctx, []kafka.TopicWish{{Name: name, Partitions: partitions}})
	return err
}

// drop removes topics, so that a round does not slow down the next.
func (c *cluster) drop(ctx context.Context, names ...string) error {
	_, err := kadm.NewClient(c.client).DeleteTopics(ctx, names...)
	return err
}

// unique makes a name that no other run of a benchmark uses.
func unique(name string) string { return fmt.Sprintf("bench-%s-%d", name, time.Now().UnixNano()) }

// plan builds resource text the way `raven up` builds files.
func plan(text, dir string, more ...component.Definition) (*manifest.Set, *topology.Plan, error) {
	reg := all.Components()
	if len(more) > 0 {
		reg = component.NewRegistry(append(reg.All(), more...)...)
	}
	set, problems := manifest.Parse("bench.yaml", dir, []byte(text), reg)
	plans, wrong := topology.Build(set, reg)
	for _, p := range append(problems, wrong...) {
		if p.Severity == manifest.SeverityError {
			return nil, nil, fmt.Errorf("build topology: %d:%d: %s", p.Line, p.Column, p.Message)
		}
	}
	if len(plans) != 1 {
		return nil, nil, fmt.Errorf("build topology: %d plans in the text, not one", len(plans))
	}
	return set, plans[0], nil
}

// prepare makes the topics of a plan.
func (c *cluster) prepare(ctx context.Context, p *topology.Plan) error {
	var wishes []kafka.TopicWish
	for _, t := range p.Topics {
		wishes = append(wishes, kafka.TopicWish{
			Name: t.Name, Partitions: t.Spec.Partitions, Replicas: t.Spec.Replicas, Config: topology.TopicConfig(t.Spec),
		})
	}
	_, err := c.admin.EnsureTopics(ctx, wishes)
	return err
}
