package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"ravenswood.dev/internal/node"
)

func (a *app) brokerCommand() *cobra.Command {
	var out output
	listen := ""
	cmd := &cobra.Command{
		Use:   "broker",
		Short: "Run the embedded broker alone",
		Long: `Runs the embedded broker on the data folder until Ctrl-C, and prints its address. Any Kafka client can use it; it serves
this machine only, since it asks nobody who they are.`,
		Example: "  raven broker --data /tmp/log --listen 127.0.0.1:0\n  kcat -L -b 127.0.0.1:19092",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.check(cmd); err != nil {
				return err
			}
			return a.broker(cmd.Context(), listen, out)
		},
	}
	out.bind(cmd)
	cmd.Flags().StringVar(&listen, "listen", node.DefaultBroker, "address to listen on; port 0 takes a free one")
	return cmd
}

func (a *app) broker(ctx context.Context, listen string, out output) error {
	b, err := node.StartBroker(ctx, node.Options{Data: a.global.data, Listen: listen, Log: a.log})
	if err != nil {
		return err
	}
	if err := node.WriteWhereabouts(a.global.data, node.Whereabouts{PID: os.Getpid(), Brokers: []string{b.Addr()}}); err != nil {
		_ = b.Close() // the first error tells
		return err
	}
	if out.json() {
		err = printJSONLine(a.Out, map[string]any{"address": b.Addr(), "data": a.global.data})
	} else {
		_, err = fmt.Fprintf(a.Out, "broker listens on %s, data in %s\n", b.Addr(), a.global.data)
	}
	if err == nil {
		<-ctx.Done()
		fmt.Fprintln(a.Err, "stopping")
	}
	if err := node.RemoveWhereabouts(a.global.data); err != nil {
		a.log.Warn("left the whereabouts behind", "err", err)
	}
	return b.Close()
}
