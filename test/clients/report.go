package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// outcome is how a step ended.
type outcome string

const (
	worked  outcome = "ok"
	failed  outcome = "failed"
	absent  outcome = "absent"   // did not work, and is not required of one node
	leftOut outcome = "left out" // the client cannot run on this machine
)

// row is one line of the table.
type row struct {
	Client  string  `json:"client"`
	Version string  `json:"version,omitempty"`
	Step    string  `json:"step"`
	Outcome outcome `json:"outcome"`
	Detail  string  `json:"detail,omitempty"`
	Cluster string  `json:"cluster,omitempty"`
	Millis  int64   `json:"ms"`
}

// newRow judges what a client said about a step.
func newRow(s said) row {
	r := row{Step: s.Step, Outcome: failed, Detail: clip(oneLine(s.Detail)), Cluster: s.Cluster, Millis: s.Millis}
	switch {
	case s.OK:
		r.Outcome = worked
	case s.Cluster != "":
		r.Outcome = absent
	}
	return r
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// detailMax keeps a row on a screen; what matters comes first in an error.
const detailMax = 300

func clip(s string) string {
	if len(s) <= detailMax {
		return s
	}
	return strings.ToValidUTF8(s[:detailMax], "") + "…"
}

// summary is the last line.
type summary struct {
	Broker  string           `json:"broker"`
	Clients map[string]tally `json:"clients"`
	Steps   int              `json:"steps"`
	Passed  int              `json:"passed"`
	Failed  []string         `json:"failed"`
	Absent  []string         `json:"absent"`
	LeftOut []string         `json:"left_out"`
	Seconds float64          `json:"seconds"`
	OK      bool             `json:"ok"`
}

// tally counts the steps of one client.
type tally struct {
	Version string `json:"version,omitempty"`
	Steps   int    `json:"steps"`
	Passed  int    `json:"passed"`
}

func summarise(rows []row, o options, took time.Duration) summary {
	s := summary{Broker: "raven", Clients: map[string]tally{}, Failed: []string{}, Absent: []string{}, LeftOut: []string{}, Seconds: took.Round(100 * time.Millisecond).Seconds()}
	if o.bootstrap != "" {
		s.Broker = o.bootstrap
	}
	for _, r := range rows {
		s.count(r)
	}
	s.OK = s.Passed > 0 && len(s.Failed) == 0 &&
		(len(s.Absent) == 0 || !o.strict) && (len(s.LeftOut) == 0 || !o.required)
	return s
}

func (s *summary) count(r row) {
	name := r.Client + ": " + r.Step
	switch r.Outcome {
	case leftOut:
		s.LeftOut = append(s.LeftOut, r.Client)
		return
	case worked:
		s.Passed++
	case failed:
		s.Failed = append(s.Failed, name)
	case absent:
		s.Absent = append(s.Absent, name)
	}
	s.Steps++
	c := s.Clients[r.Client]
	c.Version = r.Version
	c.Steps++
	if r.Outcome == worked {
		c.Passed++
	}
	s.Clients[r.Client] = c
}

func printTable(w io.Writer, rows []row) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLIENT\tVERSION\tSTEP\tRESULT\tMS\tDETAIL")
	for _, r := range rows {
		detail := r.Detail
		if r.Cluster != "" {
			detail = strings.TrimSuffix("[not required: "+r.Cluster+"] "+detail, " ")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\n", r.Client, r.Version, r.Step, r.Outcome, r.Millis, detail)
	}
	_ = t.Flush() // stdout is gone; the exit code still tells
}

func printSummary(w io.Writer, s summary) error {
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, string(line))
	return err
}
