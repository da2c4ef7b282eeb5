package main

import (
	"os"
	"strings"
	"time"

	"ravenswood.dev/test/proof"
)

// conclude judges. A control is good when it found what it is there for.
func (h *harness) conclude(err error) *result {
	r := &result{
		Run: h.trial.name, Broker: h.o.broker, Seed: h.o.seed, Negative: h.trial.breaks,
		Kills: h.counted(kill, stepKill), Pauses: h.counted(pause, stepStop), Cuts: h.counted(cut), Restarts: h.counted(restart),
		NotUp: h.notUp.Load(), Alone: h.alone.Load(), DeadLetters: h.letters, Money: h.money,
		Seconds: tenths(time.Since(h.began)), Findings: h.findings.First(),
	}
	if h.load != nil {
		r.Transfers = h.load.sent.Load()
	}
	if h.reader != nil {
		r.counts, r.Standstill = h.reader.counts(), tenths(h.reader.standstill())
	}
	r.Tables += h.finals.Tables
	if err != nil {
		r.Error = err.Error()
	}
	r.OK = r.kept()
	if r.Negative {
		r.OK = r.wrong() > 0
	}
	if !r.OK {
		r.Again = h.o.command(h.trial)
	}
	proof.Say("%s on %s: %d transfers, %d records, %d wrong, ok: %v", r.Run, r.Broker, r.Transfers, r.Records, r.wrong(), r.OK)
	return r
}

func tenths(d time.Duration) float64 { return d.Round(100 * time.Millisecond).Seconds() }

// kept says whether every promise was.
func (r *result) kept() bool {
	return r.Error == "" && r.wrong() == 0 && r.Alone == 0 && r.DeadLetters == 0 && r.Money == 0 && len(r.Findings) == 0
}

const explainLines = 12

// explain says what somebody needs who has to find out why.
func (h *harness) explain(r *result) {
	for _, line := range r.Findings {
		proof.Say("found: %s", line)
	}
	var logs []string
	for _, w := range h.workers {
		logs = append(logs, w.log())
	}
	if h.cluster != nil {
		logs = append(logs, h.cluster.log())
	}
	if !r.OK {
		for _, file := range logs {
			proof.Say("last lines of %s:\n%s", file, lastLines(file))
		}
	}
	proof.Say("kept %s; again: %s", h.dir, h.o.command(h.trial))
}

func lastLines(file string) string {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(lines[max(len(lines)-explainLines, 0):], "\n")
}
