package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/demo"
)

type generateOptions struct {
	output
	speed string
	topic string
	count int64
	users int
	span  time.Duration
}

func (a *app) generateCommand() *cobra.Command {
	var o generateOptions
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Send demo messages to a topic",
		Long: `Sends messages {"messageDate","messageId","userId","value"} with the userId as key, until --count, --for or Ctrl-C.

Speeds:
` + speedList(),
		Example: "  raven generate --speed faster --for 10s\n  raven generate --count 1 --topic user-messages",
		Args:    exactly(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.generate(cmd, o) },
	}
	o.bind(cmd)
	cmd.Flags().StringVar(&o.speed, "speed", "fast", "slow, fast, faster or insane")
	cmd.Flags().StringVar(&o.topic, "topic", "user-messages", "topic to send to")
	cmd.Flags().Int64Var(&o.count, "count", 0, "messages to send; 0 is no end")
	cmd.Flags().DurationVar(&o.span, "for", 0, "how long to send; 0 is no end")
	cmd.Flags().IntVar(&o.users, "users", 100, "number of different users")
	_ = cmd.RegisterFlagCompletionFunc("speed", cobra.FixedCompletions([]string{"slow", "fast", "faster", "insane"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("topic", a.completeTopics)
	return cmd
}

func speedList() string {
	var list string
	for _, s := range demo.Speeds() {
		list += fmt.Sprintf("  %-7s %s\n", s.Name, s.Summary)
	}
	return list
}

// generated is what generate says at its end.
type generated struct {
	Topic     string  `json:"topic"`
	Sent      int64   `json:"sent"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"perSecond"`
}

func (a *app) generate(cmd *cobra.Command, o generateOptions) error {
	speed, err := demo.ParseSpeed(o.speed)
	if err != nil {
		return usage(cmd, "%w", err)
	}
	if o.users < 1 || o.count < 0 || o.span < 0 {
		return usage(cmd, "run generate: --users must be at least 1, --count and --for not negative")
	}
	if err := o.check(cmd); err != nil {
		return err
	}
	client, err := a.openClient(cmd.Context(), kgo.AllowAutoTopicCreation())
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := cmd.Context(), context.CancelFunc(func() {})
	if o.span > 0 {
		ctx, cancel = context.WithTimeout(ctx, o.span)
	}
	defer cancel()
	load := &demo.Load{Speed: speed, Count: o.count, Users: o.users, Send: func(ctx context.Context, key, value []byte) error {
		return client.ProduceSync(ctx, &kgo.Record{Topic: o.topic, Key: key, Value: value}).FirstErr()
	}}
	return a.runLoad(ctx, load, o)
}

func (a *app) runLoad(ctx context.Context, load *demo.Load, o generateOptions) error {
	fmt.Fprintf(a.Err, "sending to %s: %s (Ctrl-C ends it)\n", o.topic, load.Speed.Summary)
	start := time.Now()
	done := make(chan error, 1)
	go func() { done <- load.Run(ctx) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for before := int64(0); ; {
		select {
		case <-tick.C:
			now := load.Sent()
			fmt.Fprintf(a.Err, "sent %s, %s/s\n", count(now), count(now-before))
			before = now
		case err := <-done:
			if err != nil {
				return fmt.Errorf("send to topic %q: %w", o.topic, err)
			}
			return a.printLoad(load.Sent(), time.Since(start), o)
		}
	}
}

func (a *app) printLoad(sent int64, took time.Duration, o generateOptions) error {
	g := generated{Topic: o.topic, Sent: sent, Seconds: took.Seconds(), PerSecond: float64(sent) / took.Seconds()}
	if o.json() {
		return printJSONLine(a.Out, g)
	}
	_, err := fmt.Fprintf(a.Out, "sent %s to %s in %s (%s/s)\n", plural(sent, "message", "messages"), o.topic, brief(took), ratePerSecond(g.PerSecond))
	return err
}

// ratePerSecond is a rate as people read it: with a decimal only where it matters.
func ratePerSecond(r float64) string {
	if r < 10 {
		return strconv.FormatFloat(r, 'f', 1, 64)
	}
	return count(int64(r))
}
