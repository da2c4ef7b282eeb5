package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// The part of the page that a run writes; the rest of it is written by hand.
const (
	pageBegin = "<!-- begin: written by test/clients --page -->\n"
	pageEnd   = "<!-- end -->\n"
)

// writePage puts the results into the page at file. Only a run of every client may, or the page would lose the others.
func writePage(file string, rows []row) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	before, rest, found := strings.Cut(string(old), pageBegin)
	_, after, ended := strings.Cut(rest, pageEnd)
	if !found || !ended {
		return fmt.Errorf("write page %q: it has no lines %q and %q", file, strings.TrimSpace(pageBegin), strings.TrimSpace(pageEnd))
	}
	page := before + pageBegin + "\n" + markdown(rows) + "\n" + pageEnd + after
	if err := os.WriteFile(file, []byte(page), 0o644); err != nil { //nolint:gosec // a page of the repository is for everybody
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// markdown is one table of clients and one list of their steps.
func markdown(rows []row) string {
	var table, lists strings.Builder
	table.WriteString("| client | version | steps | work | does not |\n|---|---|---|---|---|\n")
	for _, own := range byClient(rows) {
		good, bad := verdict(own)
		fmt.Fprintf(&table, "| %s | %s | %d | %d | %s |\n", own[0].Client, own[0].Version, len(own), len(good), strings.Join(bad, "; "))
		if len(good) > 0 {
			fmt.Fprintf(&lists, "\n**%s**: %s.\n", own[0].Client, strings.Join(good, "; "))
		}
	}
	return table.String() + lists.String()
}

// byClient divides the rows, which are in the order of the clients.
func byClient(rows []row) [][]row {
	var out [][]row
	for part := range slices.Values(names()) {
		own := slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.Client != part })
		if len(own) > 0 {
			out = append(out, own)
		}
	}
	return out
}

// verdict divides the steps of one client into those that work and those that do not, with the reason where there is one.
func verdict(rows []row) (good, bad []string) {
	for _, r := range rows {
		switch {
		case r.Outcome == worked:
			good = append(good, r.Step)
		case r.Outcome == absent:
			bad = append(bad, fmt.Sprintf("%s (%s)", r.Step, r.Cluster))
		default:
			bad = append(bad, fmt.Sprintf("%s: %s", r.Step, r.Outcome))
		}
	}
	return good, bad
}
