package stream_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/topology"
	"ravenswood.dev/stream"
)

// A program that says how many partitions a topic has must not turn one that is kept for ever into one of seven days.
func TestATopicThatExistsKeepsWhatNobodyHasSaid(t *testing.T) {
	dir := t.TempDir()
	run := func(write func(*stream.Topology), ready func(*kadm.Client)) {
		topo := stream.New("t")
		write(topo)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		err := topo.Run(ctx, stream.Options{Dir: dir, Ready: func(r stream.Running) {
			defer cancel()
			c, err := kgo.NewClient(kgo.SeedBrokers(r.Brokers()...))
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			ready(kadm.NewClient(c))
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	compact, day, forever := "compact", "86400000", "-1"
	made := map[string]map[string]*string{
		"users": {"cleanup.policy": &compact}, "days": {"retention.ms": &day}, "names": {"retention.ms": &forever}, "said": {"retention.ms": &forever},
	}
	run(func(topo *stream.Topology) { stream.From(topo, text("in")).To(text("out")) }, func(a *kadm.Client) {
		for name, config := range made {
			if _, err := a.CreateTopic(t.Context(), 3, 1, config, name); err != nil {
				t.Error(err)
			}
		}
	})
	run(func(topo *stream.Topology) {
		stream.TableOf(topo, text("users").Partitions(3)).To(text("out"))
		stream.From(topo, text("days").Partitions(3)).To(text("out"))
		stream.From(topo, text("names").Compacted()).To(text("out"))
		stream.From(topo, text("said").Retention(time.Hour)).To(text("out"))
	}, func(a *kadm.Client) {
		for name, want := range map[string]string{"users": "compact 604800000", "days": "delete 86400000", "names": "compact -1", "said": "delete 3600000"} {
			if got := kept(t, a, name); got != want {
				t.Errorf("topic %s is %s, want %s", name, got, want)
			}
		}
	})
}

// kept shows the settings of a topic.
func kept(t *testing.T, a *kadm.Client, name string) string {
	all, err := a.DescribeTopicConfigs(t.Context(), name)
	if err != nil || len(all) != 1 {
		t.Errorf("settings of %s: %v", name, err)
		return ""
	}
	got := map[string]string{}
	for _, c := range all[0].Configs {
		got[c.Key] = c.MaybeValue()
	}
	return got["cleanup.policy"] + " " + got["retention.ms"]
}

func TestANewTopicIsWhatWasSaidAndWhatItIsFor(t *testing.T) {
	topo := stream.New("t")
	users := stream.TableOf(topo, text("users").Partitions(3))
	stream.TableOf(topo, text("names").Retention(time.Hour).Partitions(3)).To(text("out"))
	stream.Join(stream.From(topo, text("orders").Retention(0)), users, func(a, b string) string { return a + b }).To(text("out").Compacted())
	plan, err := topo.Plan()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"users": "3 compact 0s", "names": "3 delete 1h0m0s", "orders": "3 delete 0s", "out": "8 compact 0s",
	} {
		i := slices.IndexFunc(plan.Topics, func(o topology.Topic) bool { return o.Name == name })
		s := plan.Topics[i].Spec
		if got := fmt.Sprint(s.Partitions, " ", s.Cleanup, " ", time.Duration(s.Retention)); got != want {
			t.Errorf("topic %s would be made as %s, want %s", name, got, want)
		}
	}
}
