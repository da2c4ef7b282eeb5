package cli

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/manifest"
)

// docsCommand writes docs/reference from the declarations. It is hidden: `make generate` calls it.
func (a *app) docsCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "docs DIR",
		Short:  "Write the generated reference pages into a folder",
		Hidden: true,
		Args:   exactly("DIR"),
		RunE:   func(cmd *cobra.Command, args []string) error { return writeDocs(args[0], cmd.Root()) },
	}
}

// writeDocs writes the pages and removes generated ones that no longer are.
func writeDocs(dir string, root *cobra.Command) error {
	pages := manifest.Reference(all.Components())
	pages["raven.schema.json"] = append(manifest.JSONSchema(all.Components()), '\n')
	pages["commands.md"] = commandsPage(root)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write reference: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		if err := os.WriteFile(filepath.Join(dir, name), pages[name], 0o644); err != nil {
			return fmt.Errorf("write reference: %w", err)
		}
	}
	return nil
}

// commandsPage is the reference of all commands on one page, in the order of help.
func commandsPage(root *cobra.Command) []byte {
	var b bytes.Buffer
	b.WriteString("# Commands\n\n<!-- Generated from the commands in the code. Do not edit; see docs/internals/cli.md. -->\n\n")
	fmt.Fprintf(&b, "%s\n\nEvery command has these flags:\n\n", strings.TrimSpace(root.Long))
	writeFlags(&b, root.PersistentFlags())
	for _, c := range commandTree(root) {
		writeCommand(&b, c)
	}
	return b.Bytes()
}

// commandTree lists the commands that people see, those below others after them.
func commandTree(parent *cobra.Command) []*cobra.Command {
	var list []*cobra.Command
	for _, c := range parent.Commands() {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		list = append(list, c)
		list = append(list, commandTree(c)...)
	}
	return list
}

func writeCommand(b *bytes.Buffer, c *cobra.Command) {
	fmt.Fprintf(b, "\n## %s\n\n%s.\n\n```\n%s\n```\n", c.CommandPath(), c.Short, c.UseLine())
	if c.Long != "" {
		fmt.Fprintf(b, "\n```text\n%s\n```\n", strings.TrimSpace(c.Long))
	}
	if flags := c.NonInheritedFlags(); flags.HasAvailableFlags() {
		b.WriteString("\n")
		writeFlags(b, flags)
	}
	if c.Example != "" {
		fmt.Fprintf(b, "\nExamples:\n\n```\n%s\n```\n", c.Example)
	}
}

func writeFlags(b *bytes.Buffer, flags *pflag.FlagSet) {
	b.WriteString("| flag | default | what it is |\n|---|---|---|\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", name, defaultOf(f), strings.ReplaceAll(f.Usage, "|", "\\|"))
	})
}

// defaultOf leaves out what is empty, and what comes from the environment of whoever writes the pages.
func defaultOf(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "[]", "false":
		return ""
	}
	if f.Name == "brokers" {
		return ""
	}
	return "`" + f.DefValue + "`"
}
