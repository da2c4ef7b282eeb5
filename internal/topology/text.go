package topology

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"ravenswood.dev/api"
)

// signs stand in front of each line, so that a plan can be skimmed.
var signs = map[Action]string{
	ActionCreate: "+", ActionChange: "~", ActionConflict: "!", ActionUnchanged: "=", ActionUse: "=", ActionStart: ">",
	ActionRebuild: "~", ActionLeave: "-",
}

// line is one thing in a section: a sign, its name, what happens to it, and lines below it.
type line struct {
	sign, name, text string
	below            []string
}

// WriteText prints the changes for people: sections in the order in which things are done, then one sentence that adds
// them up.
func (c Changes) WriteText(w io.Writer) error {
	var b strings.Builder
	section(&b, "Topics", topicLines(c.Topics))
	section(&b, "Groups", groupLines(c.Groups))
	section(&b, "Stores", storeLines(c.Stores))
	section(&b, "Services", versionLines(c.Services))
	section(&b, "Routes", routeLines(c.Routes))
	section(&b, "Topologies", topologyLines(c.Topologies))
	b.WriteString(c.Summary() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// Summary adds the changes up in one sentence.
func (c Changes) Summary() string {
	topics, versions := map[Action]int{}, map[Action]int{}
	for _, t := range c.Topics {
		topics[t.Action]++
	}
	for _, v := range c.Services {
		versions[v.Action]++
	}
	if n := topics[ActionConflict] + len(c.Foreign()); n > 0 {
		return count(n, "conflict") + ": nothing can run before that is settled."
	}
	return fmt.Sprintf("%s to create, %d to change; %s to start, %d in use; %s to start.",
		count(topics[ActionCreate], "topic"), topics[ActionChange],
		count(versions[ActionStart], "service version"), versions[ActionUse], count(len(c.Topologies), "topology"))
}

func section(b *strings.Builder, title string, lines []line) {
	if len(lines) == 0 {
		return
	}
	width := 0
	for _, l := range lines {
		width = max(width, len(l.name))
	}
	b.WriteString(title + "\n")
	for _, l := range lines {
		fmt.Fprintf(b, "  %s %-*s  %s\n", l.sign, width, l.name, l.text)
		for _, s := range l.below {
			fmt.Fprintf(b, "      %s\n", s)
		}
	}
	b.WriteString("\n")
}

func topicLines(topics []TopicChange) []line {
	var lines []line
	for _, t := range topics {
		l := line{sign: signs[t.Action], name: t.Name}
		switch t.Action {
		case ActionCreate:
			l.text = "create with " + count(t.Partitions, "partition") + ", " + describeTopic(t.Spec)
		case ActionChange:
			l.text = "change " + describeConfig(t.Config)
		case ActionConflict:
			l.text = strings.TrimPrefix(t.Message, "plan topic "+strconv.Quote(t.Name)+": ")
			l.below = []string{"hint: " + t.Hint}
		case ActionLeave:
			l.text = t.Message
		case ActionUse:
			l.text = "exists with " + count(t.Partitions, "partition") + ", used as it is"
		default:
			l.text = "unchanged, " + count(t.Partitions, "partition")
		}
		lines = append(lines, l)
	}
	return lines
}

func describeTopic(s api.TopicSpec) string {
	switch {
	case s.Cleanup == "compact":
		return "compacted to the newest per key"
	case s.Cleanup == "compact,delete":
		return "compacted to the newest per key, kept for " + span(time.Duration(s.Retention))
	case s.Retention == 0:
		return "kept for ever"
	}
	return "kept for " + span(time.Duration(s.Retention))
}

func describeConfig(changes []ConfigChange) string {
	var parts []string
	for _, c := range changes {
		from, to := c.From, c.To
		if c.Key == "retention.ms" {
			from, to = retention(from), retention(to)
		}
		parts = append(parts, c.Key+" from "+from+" to "+to)
	}
	return strings.Join(parts, ", ")
}

// retention shows Kafka's milliseconds as a person would write them.
func retention(ms string) string {
	n, err := strconv.ParseInt(ms, 10, 64)
	switch {
	case err != nil || n > int64(1<<63-1)/int64(time.Millisecond):
		return ms
	case n < 0:
		return "for ever"
	}
	return span(time.Duration(n) * time.Millisecond)
}

// span writes a length of time in its largest whole unit.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d > 0 && d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + "d"
	case d > 0 && d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	case d > 0 && d%time.Minute == 0:
		return strconv.FormatInt(int64(d/time.Minute), 10) + "m"
	}
	return d.String()
}

func groupLines(groups []GroupChange) []line {
	var lines []line
	for _, g := range groups {
		text := "create, for the workers of " + g.Topology
		if g.Member != "workers" {
			text = "create, for " + g.Member + " of " + g.Topology
		}
		if g.Action == ActionUse {
			text = "goes on where it stopped"
			if g.State != "" {
				text += " (" + strings.ToLower(g.State) + " now)"
			}
		}
		lines = append(lines, line{sign: signs[g.Action], name: g.Name, text: text})
	}
	return lines
}

func versionLines(versions []VersionChange) []line {
	var lines []line
	for _, v := range versions {
		text := "use " + strings.Join(v.URLs, ", ")
		if v.Action == ActionStart {
			text = "start " + strings.Join(v.Command, " ")
		}
		lines = append(lines, line{sign: signs[v.Action], name: v.Service + " " + v.Version, text: text})
	}
	return lines
}

func routeLines(routes []RouteChange) []line {
	var lines []line
	for _, r := range routes {
		lines = append(lines, line{sign: signs[ActionUse], name: r.Service, text: r.Summary})
	}
	return lines
}

func topologyLines(topologies []TopologyChange) []line {
	var lines []line
	for _, t := range topologies {
		l := line{sign: signs[t.Action], name: t.Name, text: fmt.Sprintf("start, %s, %s in each process", t.Delivery, count(t.Workers, "worker"))}
		if t.Standbys > 0 {
			l.text += ", " + count(t.Standbys, "standby") + " of each store"
		}
		names, whats := 0, 0
		for _, s := range t.Steps {
			names, whats = max(names, len(s.Name)), max(whats, len(s.What))
		}
		for _, s := range t.Steps {
			step := fmt.Sprintf("%-*s  %-*s", names, s.Name, whats, s.What)
			if len(s.Next) > 0 {
				step += "  -> " + strings.Join(s.Next, ", ")
			}
			l.below = append(l.below, strings.TrimRight(step, " "))
		}
		for _, st := range t.Stages {
			l.below = append(l.below, "stage "+st.Name+": "+st.Describe())
		}
		lines = append(lines, l)
	}
	return lines
}

func storeLines(stores []StoreChange) []line {
	var lines []line
	for _, s := range stores {
		l := line{sign: signs[s.Action], name: s.Topology + " " + s.Name, text: s.Describe()}
		if s.Hint != "" {
			l.below = []string{"hint: " + s.Hint}
		}
		lines = append(lines, l)
	}
	return lines
}

// Describe says in one line what happens to the store, and why.
func (s StoreChange) Describe() string {
	if s.Action == ActionConflict {
		return strings.TrimPrefix(s.Message, fmt.Sprintf("plan store %q of topology %q: ", s.Name, s.Topology))
	}
	what := s.Kind
	if s.Memory {
		what += " in memory"
	}
	parts := []string{what, count(s.Partitions, "task")}
	if s.Action == ActionUnchanged {
		parts = append(parts, "stays")
	}
	if s.Action == ActionRebuild || s.Action == ActionCreate && s.Source {
		parts = append(parts, s.rebuilding())
	}
	if s.Message != "" {
		parts = append(parts, s.Message)
	}
	return strings.Join(parts, ", ")
}

// rebuilding says how long reading a changelog takes, or what that depends on.
func (s StoreChange) rebuilding() string {
	if s.Records == 0 {
		return fmt.Sprintf("read from %s, about %s for every million records in it", s.Changelog, restoreTime(1_000_000))
	}
	return fmt.Sprintf("read from %s, about %s for its %d records, less if processes share them", s.Changelog, time.Duration(s.Seconds)*time.Second, s.Records)
}

// Describe says in one line what a stage reads, does, keeps and writes.
func (s StageChange) Describe() string {
	text := "no state"
	if s.Tasks > 0 {
		text = count(s.Tasks, "task")
	}
	if len(s.Inputs) > 0 {
		text += "; reads " + strings.Join(s.Inputs, ", ")
	}
	if len(s.Late) > 0 {
		text += "; in the order of the task: " + strings.Join(s.Late, ", ")
	}
	if len(s.Stores) > 0 {
		text += "; keeps " + strings.Join(s.Stores, ", ")
	}
	if len(s.Writes) > 0 {
		text += "; writes " + strings.Join(s.Writes, ", ")
	}
	return text
}

// count writes a number and its noun: 1 topic, 2 topics, 2 topologies.
func count(n int, noun string) string {
	if n != 1 {
		if stem, ok := strings.CutSuffix(noun, "y"); ok {
			noun = stem + "ie"
		}
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}
