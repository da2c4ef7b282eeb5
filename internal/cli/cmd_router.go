package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) routerCommand() *cobra.Command {
	listen := "127.0.0.1:19080"
	cmd := &cobra.Command{
		Use:   "router DIR",
		Short: "Serve the routes as an HTTP proxy, for programs in any language",
		Long: `Serves the services and routes of a folder as an HTTP proxy: /SERVICE goes to the version that the route decides on,
by the same rules as the call bolt. Answers carry the version in X-Raven-Version and the reason in X-Raven-Why. It follows
route changes and processes started by others through the cluster.`,
		Example: "  raven router examples/enrich --listen 127.0.0.1:8080\n  curl -d '{\"userId\":\"u7\"}' http://127.0.0.1:8080/svc3",
		Args:    exactly("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			options := a.nodeOptions(args[0], "router")
			options.Brokers, options.Proxy = a.cluster().Brokers, listen
			return a.runUntilDone(cmd.Context(), options, "router")
		},
	}
	cmd.Flags().StringVar(&listen, "listen", listen, "address to listen on")
	return cmd
}
