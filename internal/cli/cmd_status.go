package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ravenswood.dev/internal/admin"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/router"
	"ravenswood.dev/internal/topology"
)

type statusOptions struct {
	output
	watch bool
}

func (a *app) statusCommand() *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what a running node does",
		Long: `Shows a running node: topologies with state, lag and rates, stages with their tasks, stores and restores, what holds a
topology back, parked keys, dead letters, services with the shares of their versions, and the processes it started.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd); err != nil {
				return err
			}
			return a.status(cmd.Context(), o)
		},
	}
	o.bind(cmd)
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "show it again every second until Ctrl-C")
	return cmd
}

func (a *app) status(ctx context.Context, o statusOptions) error {
	client := admin.NewClient(a.adminAddress())
	for {
		s, err := client.Status(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := a.printStatus(s, o); err != nil || !o.watch {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

func (a *app) printStatus(s admin.Status, o statusOptions) error {
	if o.json() && o.watch {
		return printJSONLine(a.Out, s)
	}
	if o.json() {
		return printJSON(a.Out, s)
	}
	p := paintFor(a.Out)
	if o.watch && p.on {
		fmt.Fprint(a.Out, "\x1b[H\x1b[2J")
	}
	return writeStatus(a.Out, p, s)
}

// quickStatus is for completion: the status, or nothing if the node does not answer at once.
func (a *app) quickStatus(ctx context.Context) admin.Status {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	s, err := admin.NewClient(a.adminAddress()).Status(ctx)
	if err != nil {
		return admin.Status{}
	}
	return s
}

func writeStatus(w io.Writer, p paint, s admin.Status) error {
	broker := strings.Join(s.Node.Brokers, ",")
	if s.Node.Embedded {
		broker += " (embedded)"
	}
	fmt.Fprintf(w, "%s %s, pid %d, up %s, broker %s\n", p.bold("node"), s.Node.ID, s.Node.PID, brief(time.Since(s.Node.Started)), broker)
	if s.Node.Ready != "" {
		fmt.Fprintf(w, "%s %s\n", p.yellow("not ready:"), oneLineText(s.Node.Ready))
	}
	for _, c := range s.Node.Conditions {
		fmt.Fprintf(w, "%s %s: %s\n  hint: %s\n", p.yellow("trouble:"), c.Title, oneLineText(c.Text), c.Hint)
	}
	if len(s.Topologies) > 0 {
		if err := table(w, topologyTable(s.Topologies)); err != nil {
			return err
		}
		if err := writeStages(w, s.Topologies); err != nil {
			return err
		}
		for _, t := range s.Topologies {
			writeTrouble(w, p, t)
		}
	}
	return writeServices(w, s)
}

func oneLineText(s string) string { return strings.ReplaceAll(s, "\n", "; ") }

func topologyTable(topologies []admin.TopologyStatus) [][]string {
	rows := [][]string{{"\nTOPOLOGY", "STATE", "IN", "OUT", "RATE", "LAG", "IN FLIGHT", "PARKED", "DEAD"}}
	for _, t := range topologies {
		rows = append(rows, []string{t.Topology, t.State, count(t.In), count(t.Out), fmt.Sprintf("%.0f/s", t.InPerSecond),
			count(t.Lag), count(t.InFlight), count(t.Parked), count(int64(t.DeadWaiting))})
		for _, f := range t.Feeds {
			rows = append(rows, []string{"  spout " + f.Spout, feedState(f), count(f.Records), "", "", "", "", "", ""})
		}
		for _, d := range t.Deliveries {
			rows = append(rows, []string{"  sink " + d.Sink, deliveryState(d), "", count(d.Records), "", count(d.Lag), "", "", ""})
		}
	}
	return rows
}

func feedState(f engine.FeedStatus) string {
	switch {
	case f.Error != "":
		return "waiting"
	case f.Ended:
		return "ended"
	}
	return "running"
}

func deliveryState(d engine.DeliveryStatus) string {
	if d.Error != "" {
		return "waiting"
	}
	return "running"
}

// writeTrouble says what holds a topology back, if anything does.
func writeTrouble(w io.Writer, p paint, t admin.TopologyStatus) {
	say := func(format string, args ...any) {
		fmt.Fprintf(w, "%s %s: %s\n", p.yellow("!"), t.Topology, fmt.Sprintf(format, args...))
	}
	if t.Error != "" {
		say("%s", oneLineText(t.Error))
	}
	if o := t.Oldest; o != nil && o.Age > 2*time.Second {
		say("the oldest record in work is %s old: key %s in %s (%s/%d@%d)", brief(o.Age), readable([]byte(o.Key)), o.Bolt, o.Topic, o.Partition, o.Offset)
	}
	for i, k := range t.ParkedKeys {
		if i == 5 {
			say("and %s more", plural(int64(len(t.ParkedKeys)-i), "parked key", "parked keys"))
			break
		}
		say("key %s is parked in %s since %s with %s: %s", readable([]byte(k.Key)), k.Bolt, brief(time.Since(k.Since)),
			plural(int64(k.Records), "record", "records"), clip(readable([]byte(k.Cause)), 120))
	}
	for _, f := range t.Feeds {
		if f.Error != "" {
			say("spout %s waits: %s", f.Spout, clip(readable([]byte(f.Error)), 160))
		}
	}
	for _, d := range t.Deliveries {
		if d.Error != "" {
			say("sink %s waits: %s", d.Sink, clip(readable([]byte(d.Error)), 160))
		}
	}
	writeStageTrouble(say, t)
	if t.DeadWaiting > 0 {
		say("%s: `raven dead-letters list %s`", plural(int64(t.DeadWaiting), "dead letter waits", "dead letters wait"), t.Topology)
	}
}

func writeServices(w io.Writer, s admin.Status) error {
	if len(s.Services) == 0 {
		return nil
	}
	rows := [][]string{{"\nSERVICE", "VERSION", "SHARE", "CALLS", "ERRORS", "P50", "P99", "BREAKER", "WHERE", "ROUTE"}}
	for _, svc := range s.Services {
		for i, v := range svc.Versions {
			rows = append(rows, versionRow(svc, v, i == 0, s.Processes))
		}
	}
	return table(w, rows)
}

func versionRow(svc router.ServiceStatus, v router.VersionStatus, first bool, processes []admin.ProcessStatus) []string {
	name, route := "", ""
	if first {
		name, route = svc.Service, topology.DescribeRoute(svc.Route)
	}
	return []string{name, v.Version, fmt.Sprintf("%.0f%%", 100*v.Share), count(v.Calls), count(v.Errors),
		fmt.Sprintf("%.1fms", v.P50), fmt.Sprintf("%.1fms", v.P99), v.Breaker, where(svc.Service, v, processes), route}
}

// where says which process or addresses a version has.
func where(service string, v router.VersionStatus, processes []admin.ProcessStatus) string {
	for _, p := range processes {
		if p.Service == service && p.Version == v.Version {
			return processText(p)
		}
	}
	var urls []string
	for _, e := range v.Endpoints {
		text := e.URL
		if e.Ejected {
			text += " (left out)"
		}
		urls = append(urls, text)
	}
	if len(urls) == 0 {
		return "nowhere"
	}
	return strings.Join(urls, " ")
}

func processText(p admin.ProcessStatus) string {
	text := p.State
	if p.PID > 0 {
		text += fmt.Sprintf(" pid %d", p.PID)
	}
	if p.Restarts > 0 {
		text += fmt.Sprintf(", restarted %s", plural(int64(p.Restarts), "time", "times"))
	}
	if p.Error != "" {
		text += ": " + clip(readable([]byte(p.Error)), 80)
	}
	return text
}
