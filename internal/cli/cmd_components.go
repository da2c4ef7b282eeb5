package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/manifest"
)

func (a *app) componentsCommand() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:     "components [NAME]",
		Short:   "List spouts, bolts and sinks, or explain one",
		Example: "  raven components\n  raven components call",
		Args:    atMost(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return componentNames(all.Components()), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(cmd); err != nil {
				return err
			}
			if len(args) == 0 {
				return a.listComponents(out)
			}
			return a.explainComponent(args[0], out)
		},
	}
	out.bind(cmd)
	return cmd
}

func componentNames(registry *component.Registry) []string {
	var names []string
	for _, d := range registry.All() {
		names = append(names, d.Spec.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// shownComponent is a component in JSON.
type shownComponent struct {
	Kind    component.Kind `json:"kind"`
	Name    string         `json:"name"`
	Summary string         `json:"summary"`
	Page    string         `json:"page,omitempty"` // its reference in Markdown
}

func (a *app) listComponents(out output) error {
	rows, shown := [][]string{}, []shownComponent{}
	for _, d := range all.Components().All() {
		rows = append(rows, []string{string(d.Spec.Kind), d.Spec.Name, d.Spec.Summary})
		shown = append(shown, shownComponent{Kind: d.Spec.Kind, Name: d.Spec.Name, Summary: d.Spec.Summary})
	}
	if out.json() {
		return printJSON(a.Out, shown)
	}
	return table(a.Out, rows)
}

func (a *app) explainComponent(name string, out output) error {
	registry := all.Components()
	var found []component.Definition
	for _, d := range registry.All() {
		if d.Spec.Name == name {
			found = append(found, d)
		}
	}
	if len(found) == 0 {
		err := fmt.Errorf("find component %q: there is none of that name", name)
		if near := manifest.Closest(name, componentNames(registry)); near != "" {
			return withHint(err, "did you mean %q?", near)
		}
		return withHint(err, "`raven components` lists them")
	}
	return a.printComponents(found, out)
}

func (a *app) printComponents(found []component.Definition, out output) error {
	var shown []shownComponent
	for _, d := range found {
		shown = append(shown, shownComponent{Kind: d.Spec.Kind, Name: d.Spec.Name, Summary: d.Spec.Summary, Page: componentPage(d)})
	}
	if out.json() {
		return printJSON(a.Out, shown)
	}
	for i, s := range shown {
		if i > 0 {
			fmt.Fprintln(a.Out)
		}
		fmt.Fprint(a.Out, s.Page)
	}
	return nil
}

// componentPage is the component's section of the reference.
func componentPage(d component.Definition) string {
	page := string(manifest.Reference(component.NewRegistry(d))["components.md"])
	if i := strings.Index(page, "\n## "); i >= 0 {
		return page[i+1:]
	}
	return page
}
