package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"

	"ravenswood.dev/internal/admin"
	"ravenswood.dev/internal/tables"
)

// tablesConnectionsMax is how many connections the listener for tables has at a time. It is more than the questions that
// are answered at a time: other processes keep some for their next ones.
const tablesConnectionsMax = 2048

// openTablesListener takes the address at which other machines ask, if there is to be one, before the group is told of it.
func (n *Node) openTablesListener(ctx context.Context) error {
	o := n.options.Tables
	if o.Listen == "" {
		return nil
	}
	l, err := listen(ctx, o.Listen)
	if err != nil {
		return advise(fmt.Errorf("serve tables: %w", err), "choose an address of this machine with --tables-listen that nobody else listens on")
	}
	n.tablesAt, n.tablesURL = l, tables.Announced(n.access.serve != nil, toldAddress(o, l.Addr()))
	return nil
}

// toldAddress is what the other processes are told: what was asked for, or where it listens, by the name that was given.
func toldAddress(o TablesOptions, at net.Addr) string {
	if o.Advertise != "" {
		return o.Advertise
	}
	_, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return at.String()
	}
	return net.JoinHostPort(hostOf(o.Listen), port)
}

// startTablesListener serves questions there, and nothing else.
func (n *Node) startTablesListener(ctx context.Context) error {
	if n.tablesAt == nil {
		return nil
	}
	l := newBoundedListener(n.tablesAt, tablesConnectionsMax)
	if n.access.serve != nil {
		l = tls.NewListener(l, n.access.serve)
	}
	server := admin.NewServer(n.tables.Questions(n.access.tokens), n.options.Log)
	server.RegisterOnShutdown(func() { _ = n.tables.Close() })
	return n.group.Start(ctx, servePart("tables listener", l, server))
}

// toldHost is where the other processes of a topology ask this one.
func (n *Node) toldHost() string {
	if n.tablesURL != "" {
		return n.tablesURL
	}
	return n.admin
}

// TablesURL is where other machines ask for tables; empty if they cannot.
func (n *Node) TablesURL() string { return n.tablesURL }

// boundedListener has so many connections at a time; who comes then waits in the system's queue.
type boundedListener struct {
	net.Listener
	taken   chan struct{} // holds one for each connection
	closed  chan struct{}
	closing sync.Once
}

func newBoundedListener(l net.Listener, most int) net.Listener {
	return &boundedListener{Listener: l, taken: make(chan struct{}, most), closed: make(chan struct{})}
}

func (l *boundedListener) Accept() (net.Conn, error) {
	select {
	case l.taken <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.taken
		return nil, err
	}
	return &boundedConn{Conn: c, leave: func() { <-l.taken }}, nil
}

func (l *boundedListener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// boundedConn gives its place back once, when it is closed.
type boundedConn struct {
	net.Conn
	leave func()
	once  sync.Once
}

func (c *boundedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.leave)
	return err
}
