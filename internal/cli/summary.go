package cli

import (
	"fmt"
	"strings"
	"time"

	"ravenswood.dev/internal/admin"
	"ravenswood.dev/internal/node"
)

// summary is what `raven up --for` says at its end. The names are read by scripts.
type summary struct {
	Sent            int64         `json:"sent"`     // events in the input topics of the audited topologies
	Enriched        int64         `json:"enriched"` // different events in their topic sinks
	Stored          int64         `json:"stored"`   // different events in their outside sinks
	Lost            int64         `json:"lost"`
	Duplicated      int64         `json:"duplicated"`
	Dead            int64         `json:"dead"`
	Unfinished      int64         `json:"unfinished"`        // if events are lost: offsets of the topics that are still to be worked on
	FirstEnrichedMS *int64        `json:"first_enriched_ms"` // from the start of the process to the first result
	Seconds         float64       `json:"seconds"`
	Audits          []node.Audit  `json:"audits"`
	Topologies      []totalsShown `json:"topologies"`
}

// totalsShown is what a topology's own counters say, for those that declare no audit.
type totalsShown struct {
	Topology string `json:"topology"`
	In       int64  `json:"in"`
	Out      int64  `json:"out"`
	Dead     int64  `json:"dead"`
	Parked   int64  `json:"parked"`
}

func summarize(audits []node.Audit, s admin.Status, took time.Duration) *summary {
	sum := &summary{Seconds: took.Seconds(), Audits: audits, Topologies: []totalsShown{}}
	for _, a := range audits {
		sum.add(a)
	}
	for _, t := range s.Topologies {
		sum.Topologies = append(sum.Topologies, totalsShown{t.Topology, t.In, t.Out, t.Dead, t.Parked})
	}
	return sum
}

// add takes the fullest sink of each kind: all of them should hold the same, and Lost tells if one does not.
func (s *summary) add(a node.Audit) {
	var enriched, stored int64
	for _, k := range a.Sinks {
		if k.Kind == "topic" {
			enriched = max(enriched, k.Events)
		} else {
			stored = max(stored, k.Events)
		}
	}
	s.Sent += a.Sent
	s.Enriched += enriched
	s.Stored += stored
	s.Lost += a.Lost
	s.Duplicated += a.Duplicated
	s.Dead += a.Dead
	if a.FirstMS != nil && (s.FirstEnrichedMS == nil || *a.FirstMS < *s.FirstEnrichedMS) {
		s.FirstEnrichedMS = a.FirstMS
	}
}

func (a *app) printSummary(s *summary, o upOptions) error {
	if o.json() {
		if err := printJSONLine(a.Out, s); err != nil {
			return err
		}
	} else {
		fmt.Fprint(a.Out, summaryText(s))
	}
	if s.Lost > 0 || s.Duplicated > 0 {
		return errSilent
	}
	return nil
}

func summaryText(s *summary) string {
	var b strings.Builder
	for _, t := range s.Topologies {
		fmt.Fprintf(&b, "%s: read %s, wrote %s\n", t.Topology, count(t.In), count(t.Out))
	}
	for _, a := range s.Audits {
		fmt.Fprintf(&b, "counted for %s: %s sent", a.Topology, plural(a.Sent, "event", "events"))
		for _, k := range a.Sinks {
			fmt.Fprintf(&b, ", %s in %s (%s)", count(k.Events), k.Sink, k.Kind)
		}
		fmt.Fprintf(&b, "; %s, lost %s, duplicated %s\n", plural(a.Dead, "dead letter", "dead letters"), count(a.Lost), count(a.Duplicated))
		if a.FirstMS != nil {
			fmt.Fprintf(&b, "first result after %s\n", brief(time.Duration(*a.FirstMS)*time.Millisecond))
		}
	}
	return b.String()
}

// progressLine is the state of everything on one line; empty if there is nothing to tell.
func progressLine(age time.Duration, s admin.Status) string {
	var words []string
	for _, t := range s.Topologies {
		word := fmt.Sprintf("%s in %s (%.0f/s) out %s", t.Topology, count(t.In), t.InPerSecond, count(t.Out))
		if t.State != "running" {
			word = t.Topology + " " + t.State
		}
		for _, extra := range []struct {
			name string
			n    int64
		}{{"lag", t.Lag}, {"parked", t.Parked}, {"dead", t.Dead}} {
			if extra.n > 0 {
				word += fmt.Sprintf(" %s %s", extra.name, count(extra.n))
			}
		}
		words = append(words, word)
	}
	if shares := sharesWords(s); shares != "" {
		words = append(words, shares)
	}
	if len(words) == 0 {
		return ""
	}
	return fmt.Sprintf("%4s  %s\n", age.Round(time.Second), strings.Join(words, " | "))
}

// sharesWords says which versions answered in the last minute: "svc2 v1 90% v2 10%".
func sharesWords(s admin.Status) string {
	var words []string
	for _, svc := range s.Services {
		word := svc.Service
		for _, v := range svc.Versions {
			if v.CallsMinute > 0 {
				word += fmt.Sprintf(" %s %.0f%%", v.Version, 100*v.Share)
			}
		}
		if word != svc.Service {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}
