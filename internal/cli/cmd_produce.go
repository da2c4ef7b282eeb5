package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	asked "ravenswood.dev/internal/tables"
	"ravenswood.dev/stream/tables"
)

type produceOptions struct {
	output
	key, keys     string
	value, values string
	headers       []string
	partition     int32
	tombstone     bool
}

func (a *app) produceCommand() *cobra.Command {
	var o produceOptions
	cmd := &cobra.Command{
		Use:   "produce TOPIC",
		Short: "Write records to a topic, and print a token that a question can wait for",
		Long: `Writes a record made of flags, or, without --value, one of each line of stdin: JSON such as
{"key": "u-17", "value": {"name": "Ann"}, "headers": {"by": "hand"}}, where keyEncoding and valueEncoding may be text, json,
base64, int64 or float64, and time, partition and all else but the value may be left out.

It prints a token. With it, ` + "`raven table get --after TOKEN`" + ` waits until the table holds what the records did.`,
		Example: "  raven produce users --key u-17 --value '{\"name\": \"Ann\"}'\n" +
			"  raven table get shop users u-17 --after $(raven produce users --key u-17 --value 1)",
		Args:              exactly("TOPIC"),
		ValidArgsFunction: a.completeTopics,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.produce(cmd, args[0], o) },
	}
	o.bind(cmd)
	cmd.Flags().StringVar(&o.key, "key", "", "the record's key; without it, it has none")
	cmd.Flags().StringVar(&o.keys, "key-encoding", "text", "how the key is written: text, json, base64, int64, float64")
	cmd.Flags().StringVar(&o.value, "value", "", "the record's value, its bytes as they are unless --value-encoding says otherwise")
	cmd.Flags().StringVar(&o.values, "value-encoding", "text", "how the value is written: text, json, base64, int64, float64")
	completeEncodings(cmd)
	cmd.Flags().BoolVar(&o.tombstone, "tombstone", false, "write a record without a value, which deletes the key")
	cmd.Flags().StringArrayVar(&o.headers, "header", nil, "a header, name=value; may be given several times")
	cmd.Flags().Int32Var(&o.partition, "partition", -1, "write to this partition instead of the key's")
	return cmd
}

func (a *app) produce(cmd *cobra.Command, topic string, o produceOptions) error {
	if err := o.check(cmd); err != nil {
		return err
	}
	var one *tables.Record
	if o.tombstone || cmd.Flags().Changed("value") {
		r, err := o.record(cmd)
		if err != nil {
			return err
		}
		one = &r
	} else if cmd.Flags().Changed("key") {
		return usage(cmd, "write to topic %q: a key without a value; say --value or --tombstone", topic)
	}
	client, err := a.openClient(cmd.Context())
	if err != nil {
		return err
	}
	client.Close() // it answers
	log, err := asked.OpenCluster(a.cluster())
	if err != nil {
		return err
	}
	defer log.Close()
	p := &producing{ctx: cmd.Context(), log: log, topic: topic}
	if one != nil {
		err = p.write(*one)
	} else {
		err = p.lines(bufio.NewReaderSize(a.In, 1<<20))
	}
	if err := errors.Join(err, p.flush()); err != nil {
		return p.explain(err)
	}
	if o.json() {
		return printJSONLine(a.Out, map[string]any{"topic": topic, "token": p.token.String(), "records": p.count})
	}
	if p.count > 0 {
		_, err = fmt.Fprintln(a.Out, p.token)
	}
	return err
}

// record is the one that the flags make.
func (o *produceOptions) record(cmd *cobra.Command) (r tables.Record, err error) {
	if cmd.Flags().Changed("key") {
		if r.Key, err = encoded(cmd, "key", o.keys, o.key); err != nil {
			return r, err
		}
	}
	switch {
	case o.tombstone && cmd.Flags().Changed("value"):
		return r, usage(cmd, "write a tombstone: it has no --value")
	case !o.tombstone:
		if r.Value, err = encoded(cmd, "value", o.values, o.value); err != nil {
			return r, err
		}
	}
	if o.partition >= 0 {
		r.Partition = &o.partition
	}
	for _, h := range o.headers {
		name, value, ok := strings.Cut(h, "=")
		if !ok {
			return r, usage(cmd, "read --header %q: want name=value", h)
		}
		if r.Headers == nil {
			r.Headers = map[string]string{}
		}
		r.Headers[name] = value
	}
	return r, nil
}

func encoded(cmd *cobra.Command, flag, encoding, text string) ([]byte, error) {
	e, err := tables.ParseEncoding(encoding)
	if err != nil {
		return nil, usage(cmd, "read --%s-encoding: %w", flag, err)
	}
	b, err := e.Parse(text)
	if err != nil {
		return nil, usage(cmd, "read --%s: %w", flag, err)
	}
	return b, nil
}

// produceBatch is how many lines are written at once, and so how many may be lost together.
const (
	produceBatch = 500
	lineMax      = 32 << 20
)

// producing writes records in batches.
type producing struct {
	ctx   context.Context
	log   asked.Log
	topic string
	batch []tables.Record
	token tables.Token
	count int64
}

func (p *producing) lines(in *bufio.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, lineMax)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		r, err := readLine(lines.Bytes())
		if err != nil {
			return fmt.Errorf("read line %d: %w", n, err)
		}
		if err := p.write(r); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read stdin: %w", err)
	}
	return nil
}

// line is a record as people write it, and as `raven tail --output json` prints it: where it was is no matter here.
type line struct {
	tables.ShownRecord
	Topic  json.RawMessage `json:"topic"`
	Offset json.RawMessage `json:"offset"`
}

func readLine(raw []byte) (tables.Record, error) {
	var l line
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return tables.Record{}, err
	}
	if d.More() {
		return tables.Record{}, errors.New("more than one JSON value")
	}
	if l.Offset != nil {
		l.Partition = nil // of the topic it was read from
	}
	return l.Read()
}

func (p *producing) write(r tables.Record) error {
	p.batch = append(p.batch, r)
	if len(p.batch) < produceBatch {
		return nil
	}
	return p.flush()
}

func (p *producing) flush() error {
	if len(p.batch) == 0 {
		return nil
	}
	token, written, err := asked.Write(p.ctx, p.log, p.topic, p.batch)
	p.batch = nil
	p.token = p.token.And(token)
	p.count += int64(len(written))
	return err
}

func (p *producing) explain(err error) error {
	if errors.Is(err, asked.ErrNoTopic) {
		return withHint(fmt.Errorf("write to topic %q: there is no such topic", p.topic), "`raven plan DIR` lists the topics of your files")
	}
	if p.count > 0 {
		return withHint(err, "%s before that were written", plural(p.count, "record", "records"))
	}
	return err
}
