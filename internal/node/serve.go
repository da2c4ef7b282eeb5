package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"ravenswood.dev/internal/admin"
	"ravenswood.dev/internal/lifecycle"
	"ravenswood.dev/internal/telemetry"
)

// openAdmin takes the address of the admin API. If its usual one is taken, for example by another node on this machine, a
// free one does: the whereabouts tell which. An address that was asked for is taken or refused.
func (n *Node) openAdmin(ctx context.Context) error {
	address := n.options.Admin
	if address == "" {
		address = DefaultAdmin
	}
	if err := loopbackOnly(ctx, address); err != nil {
		return err
	}
	l, err := listen(ctx, address)
	if errors.Is(err, syscall.EADDRINUSE) && n.options.Admin == "" {
		l, err = listen(ctx, "127.0.0.1:0")
	}
	if err != nil {
		return fmt.Errorf("serve the admin API: %w", err)
	}
	n.adminAt, n.admin = l, l.Addr().String()
	return nil
}

// startAdmin serves the admin API, now that everything is there that it tells of.
func (n *Node) startAdmin(ctx context.Context) error {
	l := n.adminAt
	server := admin.NewServer(admin.Handler(n, telemetry.Handler(n.metrics), n.options.Log), n.options.Log)
	server.RegisterOnShutdown(func() { _ = n.tables.Close() }) // ends the watches, which would not end by themselves
	return n.group.Start(ctx, servePart("admin API", l, server))
}

// startProxy serves the routes to programs in any language.
func (n *Node) startProxy(ctx context.Context) error {
	if n.options.Proxy == "" {
		return nil
	}
	l, err := listen(ctx, n.options.Proxy)
	if err != nil {
		return fmt.Errorf("serve the routes: %w", err)
	}
	n.proxy = l.Addr().String()
	server := &http.Server{Handler: n.router.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 256 << 10}
	return n.group.Start(ctx, servePart("proxy", l, server))
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", address)
}

// loopbackOnly refuses addresses that other machines could reach: the admin API asks nobody who they are.
func loopbackOnly(ctx context.Context, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("serve the admin API on %q: %w", address, err)
	}
	ips, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return fmt.Errorf("serve the admin API on %q: %w", address, err)
	}
	for _, ip := range ips {
		if !ip.IP.IsLoopback() {
			return advise(fmt.Errorf("serve the admin API on %q: it asks nobody who they are, so it serves this machine only", address),
				"use a loopback address such as %s", DefaultAdmin)
		}
	}
	return nil
}

// servePart serves until its stop, then lets requests in hand finish for a while.
func servePart(name string, l net.Listener, server *http.Server) lifecycle.Part {
	const grace = 5 * time.Second
	return lifecycle.Part{Name: name, StopWithin: grace + time.Second, Run: func(ctx context.Context, ready func()) error {
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }()
		ready()
		select {
		case err := <-served:
			return err
		case <-ctx.Done():
		}
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if err := server.Shutdown(bound); err != nil {
			return server.Close()
		}
		return nil
	}}
}
