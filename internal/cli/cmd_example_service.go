package cli

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"ravenswood.dev/internal/demo"
)

type exampleServiceOptions struct {
	demo.Options
	port int
}

// exampleServiceCommand is the service behind the examples. It is hidden: nobody's pipeline should need it.
func (a *app) exampleServiceCommand() *cobra.Command {
	var o exampleServiceOptions
	cmd := &cobra.Command{
		Use:    "example-service --name NAME --version VERSION --port PORT",
		Short:  "Be a service of the examples",
		Hidden: true,
		Args:   exactly(),
		RunE:   func(cmd *cobra.Command, _ []string) error { return a.exampleService(cmd.Context(), o) },
	}
	cmd.Flags().StringVar(&o.Name, "name", "svc1", "name of the service; users answers name and segment")
	cmd.Flags().StringVar(&o.Version, "version", "v1", "version the answers carry")
	cmd.Flags().IntVar(&o.port, "port", 0, "port to listen on; 0 takes a free one")
	cmd.Flags().DurationVar(&o.Delay, "delay", 0, "time every call takes longer")
	cmd.Flags().Float64Var(&o.FailRate, "fail-rate", 0, "share of calls that fail, from 0 to 1")
	return cmd
}

func (a *app) exampleService(ctx context.Context, o exampleServiceOptions) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", o.port))
	if err != nil {
		return fmt.Errorf("start service %q: %w", o.Name, err)
	}
	server := &http.Server{Handler: demo.Handler(o.Options), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute}
	a.log.Debug("example service listens", "service", o.Name, "version", o.Version, "address", listener.Addr().String())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("run service %q: %w", o.Name, err)
	case <-ctx.Done():
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := server.Shutdown(bound); err != nil {
		return fmt.Errorf("stop service %q: %w", o.Name, err)
	}
	return nil
}
