package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/topology"
)

// read loads and checks the files of a folder. Problems are sorted by place.
func read(dir string) (*manifest.Set, []*topology.Plan, []manifest.Problem) {
	registry := all.Components()
	set, problems := manifest.Load(dir, registry)
	plans, more := topology.Build(set, registry)
	return set, plans, manifest.Sort(append(problems, more...))
}

func (a *app) lintCommand() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:   "lint DIR",
		Short: "Check the files of a folder",
		Long: `Checks all resource files of a folder at once: form, names, types, expressions, the graph of each topology, services
and routes. Every problem has its place, and most say what to do. Nothing is started or contacted.

Exit code 0 if there are no errors (warnings are allowed), else 1.`,
		Example: "  raven lint examples/enrich\n  raven lint . --output json",
		Args:    exactly("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(cmd); err != nil {
				return err
			}
			return a.lint(args[0], out)
		},
	}
	out.bind(cmd)
	return cmd
}

func (a *app) lint(dir string, out output) error {
	set, _, problems := read(dir)
	if err := a.printProblems(problems, out); err != nil {
		return err
	}
	if manifest.HasErrors(problems) {
		errors, warnings := countProblems(problems)
		fmt.Fprintf(a.Err, "%s%s\n", plural(errors, "error", "errors"), warningsPart(warnings))
		return errSilent
	}
	fmt.Fprintf(a.Err, "no errors in %s\n", contents(set))
	return nil
}

func (a *app) printProblems(problems []manifest.Problem, out output) error {
	if out.json() {
		return manifest.WriteJSON(a.Out, problems)
	}
	return manifest.WriteText(a.Out, problems)
}

func countProblems(problems []manifest.Problem) (errors, warnings int64) {
	for _, p := range problems {
		if p.Severity == manifest.SeverityError {
			errors++
		} else {
			warnings++
		}
	}
	return errors, warnings
}

func warningsPart(n int64) string {
	if n == 0 {
		return ""
	}
	return ", " + plural(n, "warning", "warnings")
}

func contents(set *manifest.Set) string {
	return fmt.Sprintf("%s, %s, %s, %s",
		plural(int64(len(set.Topologies)), "topology", "topologies"), plural(int64(len(set.Services)), "service", "services"),
		plural(int64(len(set.Routes)), "route", "routes"), plural(int64(len(set.Topics)), "topic", "topics"))
}
