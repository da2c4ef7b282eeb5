package cli

import (
	"github.com/spf13/cobra"

	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/manifest"
)

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of resource files, for editors",
		Long: `Prints the JSON Schema of all resource kinds with every component's settings, for completion and checks in editors.

With the YAML language server, put this line at the top of a file:
  # yaml-language-server: $schema=./raven.schema.json`,
		Example: "  raven schema > raven.schema.json",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			_, err := a.Out.Write(append(manifest.JSONSchema(all.Components()), '\n'))
			return err
		},
	}
}
