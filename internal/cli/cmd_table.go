package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ravenswood.dev/stream/tables"
)

func (a *app) tableCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "table",
		Aliases: []string{"tables"},
		Short:   "Ask the tables of running topologies",
		Long: `Asks what the tables of running topologies hold. Any process of a topology answers for all of them; only what is
committed is shown. While a task moves, a standby that is behind may answer and says so on stderr; --fresh refuses that.

The process asked is the one of the data folder, or that of --admin. One on another machine is asked with --tables-address and
the token, if it was started with --tables-listen.

Keys are text unless --key-encoding says otherwise: json, base64, or int64 and float64 for eight bytes, big endian. One that
begins with - comes behind --.`,
		Example: "  raven table get shop users u-17\n  raven table range shop users --prefix u-1 --limit 20\n  raven table list --tables-address w1.example.com:19443 --tables-token-file tables.token",
		Args:    unknownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	questions := []*cobra.Command{a.tableList(), a.tableGet(), a.tableRange(), a.tableWatch()}
	for _, s := range []struct {
		use, short string
		ask        spanAsk
	}{
		{"windows", "Show the windows of a key, or of all keys", (*tables.Handle).Windows},
		{"sessions", "Show the sessions of a key, or of all keys", (*tables.Handle).Sessions},
		{"versions", "Show the history of a key", (*tables.Handle).Versions},
	} {
		questions = append(questions, a.tableSpan(s.use, s.short, s.ask))
	}
	for _, c := range questions {
		a.tables.bind(c.Flags())
	}
	cmd.AddCommand(questions...)
	cmd.AddCommand(a.tableReset())
	return cmd
}

// tableOptions are the flags of every question.
type tableOptions struct {
	output
	keys, values string
	fresh        bool
	after        string
	wait         time.Duration
}

func (o *tableOptions) bind(cmd *cobra.Command) {
	o.bindForm(cmd)
	cmd.Flags().BoolVar(&o.fresh, "fresh", false, "refuse answers of standbys that are behind")
	cmd.Flags().StringVar(&o.after, "after", "", "wait until the table holds the records of this token, which `raven produce` printed")
	cmd.Flags().DurationVar(&o.wait, "wait", tables.WaitDefault, "how long to wait for that, and for a task that is moving; 30s at most")
}

// bindForm binds what is about the form of keys and values.
func (o *tableOptions) bindForm(cmd *cobra.Command) {
	o.output.bind(cmd)
	cmd.Flags().StringVar(&o.keys, "key-encoding", "text", "how keys are written: text, json, base64, int64, float64")
	cmd.Flags().StringVar(&o.values, "value-encoding", "", "how values are shown: text, json, base64, int64, float64 (default what the table says)")
	completeEncodings(cmd)
}

// completeEncodings offers what --key-encoding and --value-encoding take.
func completeEncodings(cmd *cobra.Command) {
	names := []string{string(tables.Text), string(tables.JSON), string(tables.Base64), string(tables.Int64), string(tables.Float64)}
	for _, flag := range []string{"key-encoding", "value-encoding"} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	}
}

// question is what the flags and arguments of a command make.
type question struct {
	*tableOptions
	client *tables.Client
	handle *tables.Handle
	key    []byte
	coding tables.Coding
	ask    tables.Ask
}

// question reads TOPOLOGY TABLE [KEY] and the flags.
func (a *app) question(cmd *cobra.Command, args []string, o *tableOptions) (*question, error) {
	q := &question{tableOptions: o}
	if err := errors.Join(o.check(cmd), q.encodings(cmd)); err != nil {
		return nil, err
	}
	client, err := a.tableClient(cmd)
	if err != nil {
		return nil, err
	}
	q.client = client
	q.handle = q.client.Table(args[0], args[1])
	if len(args) > 2 {
		key, err := q.coding.Key.Parse(args[2])
		if err != nil {
			return nil, usage(cmd, "read key: %w", err)
		}
		q.key = key
	}
	after, err := tables.ParseToken(o.after)
	if err != nil {
		return nil, usage(cmd, "read --after: %w", err)
	}
	if o.wait < 0 || o.wait > tables.WaitMax {
		return nil, usage(cmd, "read --wait %s: want 0s to %s", o.wait, tables.WaitMax)
	}
	q.ask = tables.Ask{Fresh: o.fresh, After: after, Wait: max(o.wait, time.Nanosecond)}
	if o.values == "" {
		return q, q.usual(cmd.Context(), args[0], args[1])
	}
	return q, nil
}

func (q *question) encodings(cmd *cobra.Command) (err error) {
	if q.coding.Key, err = tables.ParseEncoding(q.keys); err != nil {
		return usage(cmd, "read --key-encoding: %w", err)
	}
	if q.values == "" {
		return nil
	}
	if q.coding.Value, err = tables.ParseEncoding(q.values); err != nil {
		return usage(cmd, "read --value-encoding: %w", err)
	}
	return nil
}

// usual takes the encoding that the table's values have.
func (q *question) usual(ctx context.Context, topology, table string) error {
	list, err := q.client.Tables(ctx, topology)
	if err != nil {
		return tableHint(err)
	}
	q.coding.Value = tables.Base64 // of a table there is not: the question itself will tell
	for _, t := range list {
		if t.Name == table {
			q.coding.Value = t.Values
		}
	}
	return nil
}

// tableHint keeps what the process advised.
func tableHint(err error) error {
	said, ok := errors.AsType[*tables.Error](err)
	if ok && said.Status == http.StatusUnauthorized {
		return withHint(err, "%s", tokenHint)
	}
	if ok && said.Hint != "" {
		return withHint(err, "%s", said.Hint)
	}
	if unreachable, ok := errors.AsType[*tables.UnreachableError](err); ok {
		return unreachableHint(unreachable)
	}
	return err
}

// unreachableHint tells the address of a listener from that of an admin API.
func unreachableHint(err *tables.UnreachableError) error {
	_, distrusted := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case distrusted:
		return withHint(err, "name the authority that signed it with --tables-tls-ca, and ask by a name that the certificate is for")
	case strings.Contains(err.Address, "://"):
		return withHint(err, "check --tables-address: it is the --tables-listen or --tables-advertise of a process; without TLS say http://")
	}
	return withHint(err, "start a node with `raven up DIR`; if it runs with another data folder or address, say so with --data or --admin")
}

// sayStale tells a person how far behind an answer is; programs read it in the JSON.
func (a *app) sayStale(s *tables.Stale) {
	if s == nil {
		return
	}
	words := "by an unknown number of records"
	if s.Records >= 0 {
		words = "by " + plural(s.Records, "record", "records")
	}
	if s.Behind != "" {
		words += ", " + s.Behind
	}
	fmt.Fprintf(a.Err, "the answer is of a standby that is behind %s\n", words)
}

func (a *app) tableList() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:               "list [TOPOLOGY]",
		Short:             "List the tables that can be asked",
		Args:              atMost(1),
		ValidArgsFunction: a.completeTablesTopologies,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(cmd); err != nil {
				return err
			}
			client, err := a.tableClient(cmd)
			if err != nil {
				return err
			}
			list, err := client.Tables(cmd.Context(), strings.Join(args, ""))
			if err != nil {
				return tableHint(err)
			}
			return a.showTables(list, out)
		},
	}
	out.bind(cmd)
	return cmd
}

func (a *app) showTables(list []tables.Table, out output) error {
	if out.json() {
		return printJSON(a.Out, list)
	}
	if len(list) == 0 {
		fmt.Fprintln(a.Err, "no tables")
		return nil
	}
	rows := [][]string{{"TOPOLOGY", "TABLE", "KIND", "VALUES", "PARTITIONS", "WITHOUT OWNER", "STANDBYS"}}
	for _, t := range list {
		kind, partitions, without, standbys := t.Kind, fmt.Sprint(len(t.Partitions)), 0, 0
		if t.Global {
			kind, partitions = "global", "-"
		}
		for _, p := range t.Partitions {
			standbys += len(p.Standbys)
			if p.Active == "" {
				without++
			}
		}
		rows = append(rows, []string{t.Topology, t.Name, kind, string(t.Values), partitions, fmt.Sprint(without), fmt.Sprint(standbys)})
	}
	return table(a.Out, rows)
}

func (a *app) tableGet() *cobra.Command {
	var o tableOptions
	var asOf string
	cmd := &cobra.Command{
		Use:               "get TOPOLOGY TABLE KEY",
		Short:             "Show the entry of a key",
		Example:           "  raven table get shop users u-17\n  raven table get shop prices tea --as-of 2026-01-31T12:00:00Z",
		Args:              exactly("TOPOLOGY", "TABLE", "KEY"),
		ValidArgsFunction: a.completeTables,
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := moment(cmd, "as-of", asOf)
			if err != nil {
				return err
			}
			q, err := a.question(cmd, args, &o)
			if err != nil {
				return err
			}
			return a.getEntry(cmd.Context(), q, at)
		},
	}
	o.bind(cmd)
	cmd.Flags().StringVar(&asOf, "as-of", "", "the version of this time, of a versioned table: a time, or how long ago")
	return cmd
}

func (a *app) getEntry(ctx context.Context, q *question, at time.Time) error {
	get := q.handle.Get
	if !at.IsZero() {
		get = func(ctx context.Context, key []byte, ask tables.Ask) (tables.Answer, error) {
			return q.handle.AsOf(ctx, key, at, ask)
		}
	}
	answer, err := get(ctx, q.key, q.ask)
	if err != nil {
		return tableHint(err)
	}
	shown := tables.ShownAnswer{Shown: q.coding.Show(answer.Entry), Partition: answer.Partition, By: answer.By, Stale: answer.Stale}
	if q.json() {
		return printJSON(a.Out, shown)
	}
	a.sayStale(answer.Stale)
	return a.showEntries(q, []tables.Entry{answer.Entry})
}

// moment reads a time, or how long ago that was.
func moment(cmd *cobra.Command, flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(s); err == nil {
		return time.Now().Add(-ago), nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, usage(cmd, "read --%s %q: want a time such as 2026-01-31T12:00:00Z, or how long ago, such as 90m", flag, s)
	}
	return t, nil
}

// pageOptions are the flags of questions for many entries.
type pageOptions struct {
	tableOptions
	from, to, prefix string
	limit            int
	all              bool
}

func (o *pageOptions) bind(cmd *cobra.Command, of string) {
	o.tableOptions.bind(cmd)
	cmd.Flags().StringVar(&o.from, "from", "", "from this "+of+" on")
	cmd.Flags().IntVar(&o.limit, "limit", tables.LimitDefault, "at most so many")
	cmd.Flags().BoolVar(&o.all, "all", false, "all there are, page by page")
}

func (o *pageOptions) size(cmd *cobra.Command) (int, error) {
	if o.limit < 1 || o.limit > tables.LimitMax {
		return 0, usage(cmd, "read --limit %d: want 1 to %d; --all shows all", o.limit, tables.LimitMax)
	}
	if o.all && !cmd.Flags().Changed("limit") {
		return 1000, nil // of a page
	}
	return o.limit, nil
}

func (a *app) tableRange() *cobra.Command {
	var o pageOptions
	cmd := &cobra.Command{
		Use:               "range TOPOLOGY TABLE",
		Short:             "Show the entries of a range of keys, in their order",
		Example:           "  raven table range shop users --from u-10 --to u-20\n  raven table range shop users --all --output json | jq .value",
		Args:              exactly("TOPOLOGY", "TABLE"),
		ValidArgsFunction: a.completeTables,
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := a.question(cmd, args, &o.tableOptions)
			if err != nil {
				return err
			}
			r, err := o.keyRange(cmd, q)
			if err != nil {
				return err
			}
			return a.pages(q, o.all, func(cursor string) (tables.Page, error) {
				r.Cursor = cursor
				return q.handle.Range(cmd.Context(), r)
			})
		},
	}
	o.bind(cmd, "key")
	cmd.Flags().StringVar(&o.to, "to", "", "up to but without this key")
	cmd.Flags().StringVar(&o.prefix, "prefix", "", "only keys that begin so")
	return cmd
}

func (o *pageOptions) keyRange(cmd *cobra.Command, q *question) (tables.Range, error) {
	r := tables.Range{Ask: q.ask}
	for _, k := range []struct {
		flag, text string
		to         *[]byte
	}{{"from", o.from, &r.From}, {"to", o.to, &r.To}} {
		if !cmd.Flags().Changed(k.flag) {
			continue
		}
		key, err := q.coding.Key.Parse(k.text)
		if err != nil {
			return r, usage(cmd, "read --%s: %w", k.flag, err)
		}
		*k.to = key
	}
	var err error
	if r.Prefix, err = q.prefixed(cmd, o.prefix); err != nil {
		return r, err
	}
	r.Limit, err = o.size(cmd)
	return r, err
}

// prefixed reads the beginning of keys; nil if none was given. That of JSON or of a number is nothing of its kind.
func (q *question) prefixed(cmd *cobra.Command, s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	if k := q.coding.Key; k != tables.Text && k != tables.Base64 {
		return nil, usage(cmd, "read --prefix: a prefix can be written as text or base64 only, not as %s", k)
	}
	prefix, err := q.coding.Key.Parse(s)
	if err != nil {
		return nil, usage(cmd, "read --prefix: %w", err)
	}
	return prefix, nil
}

type spanAsk func(h *tables.Handle, ctx context.Context, key []byte, s tables.Span) (tables.Page, error)

// tableSpan is a question for what keys have within some time.
func (a *app) tableSpan(name, short string, ask spanAsk) *cobra.Command {
	var o pageOptions
	cmd := &cobra.Command{
		Use:               name + " TOPOLOGY TABLE [KEY]",
		Short:             short,
		Example:           fmt.Sprintf("  raven table %[1]s shop totals tea --from 24h", name),
		ValidArgsFunction: a.completeTables,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 || name == "versions" {
				return exactly("TOPOLOGY", "TABLE", "KEY")(cmd, args)
			}
			return atMost(3)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := a.question(cmd, args, &o.tableOptions)
			if err != nil {
				return err
			}
			s, err := o.span(cmd, q)
			if err != nil {
				return err
			}
			return a.pages(q, o.all, func(cursor string) (tables.Page, error) {
				s.Cursor = cursor
				return ask(q.handle, cmd.Context(), q.key, s)
			})
		},
	}
	o.bind(cmd, "time, or how long ago,")
	cmd.Flags().StringVar(&o.to, "to", "", "up to this time, or how long ago")
	if name != "versions" {
		cmd.Flags().StringVar(&o.prefix, "prefix", "", "only keys that begin so, when all keys are asked for")
	}
	return cmd
}

func (o *pageOptions) span(cmd *cobra.Command, q *question) (s tables.Span, err error) {
	s.Ask = q.ask
	if s.Prefix, err = q.prefixed(cmd, o.prefix); err != nil {
		return s, err
	}
	if s.From, err = moment(cmd, "from", o.from); err != nil {
		return s, err
	}
	if s.To, err = moment(cmd, "to", o.to); err != nil {
		return s, err
	}
	s.Limit, err = o.size(cmd)
	return s, err
}

// pages shows one page, or all of them.
func (a *app) pages(q *question, all bool, ask func(cursor string) (tables.Page, error)) error {
	for cursor := ""; ; {
		page, err := ask(cursor)
		if err != nil {
			return tableHint(err)
		}
		a.sayStale(page.Stale)
		if err := a.showEntries(q, page.Entries); err != nil {
			return err
		}
		if cursor = page.Next; cursor == "" || !all {
			break
		}
	}
	return nil
}

// showEntries prints entries: a line of JSON each, or a table.
func (a *app) showEntries(q *question, entries []tables.Entry) error {
	if q.json() {
		for _, e := range entries {
			if err := printJSONLine(a.Out, q.coding.Show(e)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(entries) == 0 {
		fmt.Fprintln(a.Err, "no entries")
		return nil
	}
	timed := !entries[0].Start.IsZero()
	rows := [][]string{{"KEY", "TIME", "VALUE"}}
	if timed {
		rows = [][]string{{"KEY", "START", "END", "VALUE"}}
	}
	for _, e := range entries {
		rows = append(rows, entryRow(q.coding, e, timed))
	}
	return table(a.Out, rows)
}

const valueShownMax = 200

func entryRow(c tables.Coding, e tables.Entry, timed bool) []string {
	s := c.Show(e)
	row := []string{clip(shown(s.Key), 40)}
	if timed {
		row = append(row, localTime(e.Start), localTime(e.End))
	} else {
		row = append(row, localTime(e.Time))
	}
	value := clip(shown(s.Value), valueShownMax)
	if s.Deleted {
		value = "(deleted)"
	}
	return append(row, value)
}

func localTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05.000")
}

func (a *app) tableWatch() *cobra.Command {
	var o tableOptions
	var prefix string
	var current bool
	cmd := &cobra.Command{
		Use:   "watch TOPOLOGY TABLE [KEY]",
		Short: "Show changes of a table as they are committed",
		Long: `Shows the changes of a key, of the keys with a prefix, or of the whole table, as they are committed, until Ctrl-C.
With --current it begins with what is there.`,
		Example:           "  raven table watch shop users u-17 --current",
		ValidArgsFunction: a.completeTables,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return exactly("TOPOLOGY", "TABLE")(cmd, args)
			}
			return atMost(3)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := a.question(cmd, args, &o)
			if err != nil {
				return err
			}
			if q.key != nil && prefix != "" {
				return usage(cmd, "watch a key or a prefix, not both")
			}
			w := tables.Watch{Key: q.key, Current: current}
			if w.Prefix, err = q.prefixed(cmd, prefix); err != nil {
				return err
			}
			return a.watchTable(cmd.Context(), q, w)
		},
	}
	o.bindForm(cmd)
	cmd.Flags().StringVar(&prefix, "prefix", "", "only keys that begin so")
	cmd.Flags().BoolVar(&current, "current", false, "begin with what is there")
	return cmd
}

func (a *app) watchTable(ctx context.Context, q *question, w tables.Watch) error {
	for change, err := range q.handle.Watch(ctx, w) {
		if err != nil {
			return tableHint(err)
		}
		if q.json() {
			err = printJSONLine(a.Out, tables.ShownChange{Shown: q.coding.Show(change.Entry), Current: change.Current})
		} else {
			timed := !change.Start.IsZero()
			_, err = fmt.Fprintln(a.Out, strings.Join(entryRow(q.coding, change.Entry, timed), "  "))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// completeTables offers topologies, then their tables, as the process that would be asked tells them.
func (a *app) completeTables(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 1 || a.prepare() != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), time.Second)
	defer cancel()
	client, err := a.tableClient(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, _ := client.Tables(ctx, strings.Join(args, ""))
	var names []string
	for _, t := range list {
		name := t.Topology
		if len(args) == 1 {
			name = t.Name
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeTablesTopologies offers topologies only.
func (a *app) completeTablesTopologies(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeTables(cmd, args, start)
}
