package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// PortError says that another program listens where the broker should.
type PortError struct {
	Addr   string
	Holder string // the program and its pid, if we may see it
	Err    error
}

func (e *PortError) Error() string {
	holder := e.Holder
	if holder == "" {
		holder = "another program"
	}
	return fmt.Sprintf("listen on %q: %s has the port", e.Addr, holder)
}

func (e *PortError) Unwrap() error { return e.Err }

func listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &PortError{Addr: addr, Holder: portHolder(addr), Err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	return ln, nil
}

// checkLoopback refuses addresses that other machines could reach: nothing asks them who they are.
func checkLoopback(ctx context.Context, addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", addr, err)
	}
	ips, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", addr, err)
	}
	for _, ip := range ips {
		if !ip.IP.IsLoopback() {
			return fmt.Errorf("listen on %q: without a login the embedded broker serves this machine only, since it asks nobody who they are: use a loopback address such as %q, or turn on SASL or client certificates", addr, DefaultAddr)
		}
	}
	return nil
}
