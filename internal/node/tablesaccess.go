package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"ravenswood.dev/internal/tables"
)

// TablesOptions say how processes on several machines ask each other for tables, in the words of a command line. The zero
// value lets only programs of this machine ask, by the admin API. The files are read again when they change.
type TablesOptions struct {
	Listen    string // address of a listener for questions, nothing else; empty: there is none
	Advertise string // host:port that the other processes are told; empty: Listen
	TokenFile string // one or two lines: all are accepted, the first is shown to the others; empty: the environment's RAVEN_TABLES_TOKEN
	TLSCert   string // PEM files of the listener
	TLSKey    string
	TLSCA     string // PEM file of the authorities that the others' certificates are believed by; empty: the system's
	Plain     bool   // without TLS, although others on the way can read the token and the answers
}

// TablesTokenVariable is the variable of the environment that holds the token.
const TablesTokenVariable = "RAVEN_TABLES_TOKEN"

// tablesAccess is what TablesOptions come to.
type tablesAccess struct {
	tokens tables.Tokens
	serve  *tls.Config        // of the listener; nil: without TLS
	ask    func() *tls.Config // of questions to others; nil: the system's authorities
}

// tablesReading turns TablesOptions into tablesAccess and collects what is wrong with them.
type tablesReading struct {
	TablesOptions
	log      *slog.Logger
	problems []AdvisedError
}

func (r *tablesReading) problem(advice, format string, args ...any) {
	r.problems = append(r.problems, AdvisedError{Err: fmt.Errorf(format, args...), Advice: advice})
}

func (o TablesOptions) read(ctx context.Context, log *slog.Logger) (tablesAccess, []AdvisedError) {
	r := &tablesReading{TablesOptions: o, log: log}
	var a tablesAccess
	if o.Listen == "" {
		r.checkUnused()
	} else {
		r.checkAddresses()
	}
	a.tokens = r.tokens()
	a.serve = r.certificate()
	a.ask = r.authorities()
	if o.Listen != "" {
		r.checkReach(ctx)
	}
	return a, r.problems
}

// checkUnused refuses what says how to listen where nothing listens. Token and authorities are for asking, too.
func (r *tablesReading) checkUnused() {
	for _, f := range []struct{ flag, value string }{
		{"--tables-advertise", r.Advertise}, {"--tables-tls-cert", r.TLSCert}, {"--tables-tls-key", r.TLSKey},
	} {
		if f.value != "" {
			r.problem("add --tables-listen with the address to listen on, as in 0.0.0.0:19443", "read %s: without --tables-listen nothing listens", f.flag)
		}
	}
}

func (r *tablesReading) checkAddresses() {
	host, port, err := splitAddress(r.Listen)
	switch {
	case err != nil:
		r.problem("for example 0.0.0.0:19443", "read --tables-listen %q: want host:port", r.Listen)
	case r.Advertise == "" && isUnspecified(host):
		r.problem(fmt.Sprintf("add --tables-advertise with the name and port by which the other machines reach this one, as in w1.example.com:%s", orPort(port)),
			"read --tables-listen %q: the other processes have to be told an address that leads here", r.Listen)
	}
	if r.Advertise == "" {
		return
	}
	if host, port, err := splitAddress(r.Advertise); err != nil || isUnspecified(host) || port == "0" {
		r.problem("give the name and port by which the other machines reach this one, as in w1.example.com:19443", "read --tables-advertise %q: want host:port that leads here", r.Advertise)
	}
}

func orPort(port string) string {
	if port == "0" {
		return "19443"
	}
	return port
}

// splitAddress reads host:port, where the host may be empty and a port have a name.
func splitAddress(address string) (host, port string, err error) {
	if host, port, err = net.SplitHostPort(address); err != nil {
		return "", "", err
	}
	if port == "" || strings.ContainsAny(host, "/@?#% ") {
		return "", "", fmt.Errorf("read address %q: want host:port", address)
	}
	_, err = new(net.Resolver).LookupPort(context.Background(), "tcp", port)
	return host, port, err
}

func isUnspecified(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// checkReach refuses to let the token travel in the clear unless that is asked for.
func (r *tablesReading) checkReach(ctx context.Context) {
	encrypted := r.TLSCert != "" || r.TLSKey != ""
	if encrypted && r.Plain {
		r.problem("leave one of them out", "read --tables-plain: with --tables-tls-cert the listener speaks TLS")
	}
	host, _, err := splitAddress(r.Listen)
	if err != nil || encrypted || r.Plain {
		return
	}
	if !staysHere(ctx, host) || r.Advertise != "" && !staysHere(ctx, hostOf(r.Advertise)) {
		r.problem("add --tables-tls-cert and --tables-tls-key; or --tables-plain if nobody else can read the network between the machines",
			"listen on %q: other machines could reach it, and without TLS the token and the answers can be read on the way", r.Listen)
	}
}

func hostOf(address string) string {
	host, _, _ := net.SplitHostPort(address)
	return host
}

// staysHere says whether only this machine reaches a host. One that cannot be looked up may be anywhere.
func staysHere(ctx context.Context, host string) bool {
	ips, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	for _, ip := range ips {
		if !ip.IP.IsLoopback() {
			return false
		}
	}
	return err == nil
}

// peers is how this process asks others.
func (n *Node) peers() tables.Peers {
	return tables.Peers{Tokens: n.access.tokens, TLS: n.access.ask, Plain: n.options.Tables.Plain}
}

// checkOptions reads what the options say of listeners before anything is made, and reports all that is wrong at once.
func (n *Node) checkOptions(ctx context.Context) error {
	access, problems := n.options.Tables.read(ctx, n.options.Log)
	if len(problems) == 0 {
		n.access = access
		return nil
	}
	if len(n.options.Brokers) == 0 {
		_, err := n.options.brokerOptions(ctx)
		if more, ok := errors.AsType[*OptionsError](err); ok {
			problems = append(problems, more.Problems...)
		}
	}
	return &OptionsError{Problems: problems}
}
