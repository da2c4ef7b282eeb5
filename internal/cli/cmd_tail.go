package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
)

type tailOptions struct {
	output
	newest    int
	beginning bool
	noFollow  bool
}

func (a *app) tailCommand() *cobra.Command {
	var o tailOptions
	cmd := &cobra.Command{
		Use:   "tail TOPIC",
		Short: "Show a topic's newest records and follow it",
		Long: `Shows a topic's newest committed records, oldest first, then waits for more until Ctrl-C.

In text form each record is shown as message (its plain fields), enrichments (its nested fields), services (which
version of which service answered), cluster (where it is) and raw. With --output json each record is one line.`,
		Example:           "  raven tail enriched-messages -n 1\n  raven tail enriched-messages --output json | jq .value.services",
		Args:              exactly("TOPIC"),
		ValidArgsFunction: a.completeTopics,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.tail(cmd, args[0], o) },
	}
	o.bind(cmd)
	cmd.Flags().IntVarP(&o.newest, "newest", "n", 1, "how many of the newest records to begin with")
	cmd.Flags().BoolVar(&o.beginning, "from-beginning", false, "begin with the oldest record instead")
	cmd.Flags().BoolVar(&o.noFollow, "no-follow", false, "end when the newest record is shown")
	return cmd
}

func (a *app) tail(cmd *cobra.Command, topic string, o tailOptions) error {
	if err := o.check(cmd); err != nil {
		return err
	}
	if o.newest < 0 || o.newest > 100_000 {
		return usage(cmd, "read -n %d: want 0 to 100000", o.newest)
	}
	ctx := cmd.Context()
	client, err := a.openClient(ctx, kgo.KeepControlRecords()) // marks of transactions tell where the past ends
	if err != nil {
		return err
	}
	defer client.Close()
	log, err := kafka.NewAdmin(a.cluster())
	if err != nil {
		return err
	}
	defer log.Close()
	t := &tailing{topic: topic, options: o, client: client, admin: kadm.NewClient(client), log: log, print: a.recordPrinter(o)}
	if err := t.run(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// tailing is one run of tail.
type tailing struct {
	topic   string
	options tailOptions
	client  *kgo.Client
	admin   *kadm.Client
	log     *kafka.Admin
	print   func(*kgo.Record) error

	ends map[int32]int64 // where each partition's committed records ended at the start; reached ones are removed
	next map[int32]int64 // the next offset of each partition
	past []*kgo.Record   // the records before the ends
}

func (t *tailing) run(ctx context.Context) error {
	starts, err := t.starts(ctx)
	if err != nil {
		return err
	}
	t.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{t.topic: starts})
	for len(t.ends) > 0 {
		if err := t.poll(ctx, t.collect); err != nil {
			return err
		}
	}
	if err := t.printPast(); err != nil || t.options.noFollow {
		return err
	}
	for {
		if err := t.poll(ctx, t.print); err != nil {
			return err
		}
	}
}

// starts finds the offsets to read from: enough before the end to hold the newest records. Offsets also count the
// marks of transactions, so twice as many are read as are wanted, and a few more.
func (t *tailing) starts(ctx context.Context) (map[int32]kgo.Offset, error) {
	first, err1 := t.admin.ListStartOffsets(ctx, t.topic)
	ends, err2 := t.admin.ListCommittedOffsets(ctx, t.topic)
	if errors.Is(ends.Error(), kerr.UnknownTopicOrPartition) {
		return nil, withHint(fmt.Errorf("read topic %q: there is no such topic", t.topic), "`raven plan DIR` lists the topics of your files")
	}
	if err := errors.Join(err1, err2, first.Error(), ends.Error()); err != nil {
		return nil, fmt.Errorf("read topic %q: %w", t.topic, err)
	}
	starts := map[int32]kgo.Offset{}
	t.ends, t.next = map[int32]int64{}, map[int32]int64{}
	ends.Each(func(end kadm.ListedOffset) {
		begin, _ := first.Lookup(t.topic, end.Partition)
		from := max(begin.Offset, end.Offset-int64(2*t.options.newest+20))
		if t.options.beginning {
			from = begin.Offset
		}
		starts[end.Partition], t.next[end.Partition] = kgo.NewOffset().At(from), from
		if from < end.Offset {
			t.ends[end.Partition] = end.Offset
		}
	})
	return starts, nil
}

// pollMax is how long the past is waited for before the log is asked whether there is more of it.
const pollMax = time.Second

func (t *tailing) poll(ctx context.Context, visit func(*kgo.Record) error) error {
	bound, cancel := context.WithTimeout(ctx, pollMax)
	defer cancel()
	fetches := t.client.PollFetches(bound)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if bound.Err() != nil && fetches.NumRecords() == 0 {
		return t.quiet(ctx)
	}
	for _, e := range fetches.Errors() {
		if !errors.Is(e.Err, context.DeadlineExceeded) {
			return fmt.Errorf("read topic %q partition %d: %w", t.topic, e.Partition, e.Err)
		}
	}
	for r := range fetches.RecordsAll() {
		t.next[r.Partition] = r.Offset + 1
		if end, ok := t.ends[r.Partition]; ok && r.Offset >= end-1 {
			delete(t.ends, r.Partition)
		}
		if r.Attrs.IsControl() {
			continue
		}
		if err := visit(r); err != nil {
			return err
		}
	}
	return nil
}

// quiet deals with a moment that brought nothing. The last offsets before an end may hold no record any more, because it was
// compacted away or deleted. Silence does not tell: a broker may be slow.
func (t *tailing) quiet(ctx context.Context) error {
	from := make(map[kafka.TopicPartition]int64)
	for p := range t.ends {
		from[kafka.TopicPartition{Topic: t.topic, Partition: p}] = t.next[p]
	}
	ahead, err := t.log.Ahead(ctx, from)
	if err != nil {
		return fmt.Errorf("read topic %q: %w", t.topic, err)
	}
	for tp, a := range ahead {
		if a.Offset >= t.ends[tp.Partition] || !a.Record {
			delete(t.ends, tp.Partition)
		}
	}
	return nil
}

func (t *tailing) collect(r *kgo.Record) error {
	if t.options.beginning {
		return t.print(r) // the past may be larger than memory
	}
	t.past = append(t.past, r)
	return nil
}

func (t *tailing) printPast() error {
	slices.SortStableFunc(t.past, func(a, b *kgo.Record) int { return a.Timestamp.Compare(b.Timestamp) })
	for _, r := range t.past[max(0, len(t.past)-t.options.newest):] {
		if err := t.print(r); err != nil {
			return err
		}
	}
	t.past = nil
	return nil
}

// recordPrinter picks the form in which records are shown.
func (a *app) recordPrinter(o tailOptions) func(*kgo.Record) error {
	if o.json() {
		return func(r *kgo.Record) error { return printJSONLine(a.Out, recordLine(r)) }
	}
	cluster := strings.Join(a.cluster().Brokers, ",")
	p := paintFor(a.Out)
	return func(r *kgo.Record) error {
		_, err := fmt.Fprintln(a.Out, recordPage(p, cluster, r))
		return err
	}
}

// shownRecord is a record as one line of JSON.
type shownRecord struct {
	Topic     string            `json:"topic"`
	Partition int32             `json:"partition"`
	Offset    int64             `json:"offset"`
	Time      time.Time         `json:"time"`
	Key       *string           `json:"key"`
	Headers   map[string]string `json:"headers,omitempty"`
	Value     any               `json:"value"` // the JSON as it is, other bytes as text
}

func recordLine(r *kgo.Record) shownRecord {
	s := shownRecord{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp.UTC()}
	if r.Key != nil {
		key := string(r.Key)
		s.Key = &key
	}
	for _, h := range r.Headers {
		if s.Headers == nil {
			s.Headers = map[string]string{}
		}
		s.Headers[h.Key] = string(h.Value)
	}
	switch {
	case r.Value == nil:
	case json.Valid(r.Value):
		s.Value = json.RawMessage(r.Value)
	default:
		s.Value = string(r.Value)
	}
	return s
}
