package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/config"
	"ravenswood.dev/internal/broker/server"
)

// BrokerOptions say how the embedded broker serves, in the words of a command line. The zero value serves this machine
// and asks nobody who he is.
type BrokerOptions struct {
	ListenPlain       string // one more address, of this machine only, without TLS and login
	Advertise         string // host:port that clients are told to use
	TLSCert           string // PEM files
	TLSKey            string
	TLSClientCA       string
	TLSClientRequired bool
	TLSMapping        string   // as ssl.principal.mapping.rules
	SASL              []string // mechanisms, in any case
	Users             []string // NAME:@FILE or NAME:env:VARIABLE
	Authorize         bool
	SuperUsers        []string // User:NAME
	OpenIfNone        bool     // what no list speaks of is open to all
	Fsync             string   // group or off; empty is group
	Settings          []string // name=value
	Partitions        int      // of topics made without saying how many; 0 is the default
}

// The values of BrokerOptions.Fsync.
const (
	FsyncGroup = "group"
	FsyncOff   = "off"
)

// OptionsError says all that is wrong with BrokerOptions.
type OptionsError struct{ Problems []AdvisedError }

func (e *OptionsError) Error() string {
	var all []string
	for _, p := range e.Problems {
		all = append(all, p.Error())
	}
	return strings.Join(all, "; ")
}

// StartBroker starts the embedded broker alone, in its folder below the data folder.
func StartBroker(ctx context.Context, o Options) (*broker.Broker, error) {
	return startBroker(ctx, o, server.Hooks{})
}

func startBroker(ctx context.Context, o Options, hooks server.Hooks) (*broker.Broker, error) {
	bo, err := o.brokerOptions(ctx)
	if err != nil {
		return nil, err
	}
	bo.Hooks = hooks
	if err := checkDataFolder(o.Data); err != nil {
		return nil, advised(err)
	}
	if o.Embedded != nil {
		o.Embedded(&bo)
	}
	b, err := broker.Start(ctx, bo)
	return b, advised(err)
}

// reading turns BrokerOptions into those of the broker and collects what is wrong with them.
type reading struct {
	BrokerOptions
	listen   string
	log      *slog.Logger
	problems []AdvisedError
}

func (r *reading) problem(advice, format string, args ...any) {
	r.problems = append(r.problems, AdvisedError{Err: fmt.Errorf(format, args...), Advice: advice})
}

func (o Options) brokerOptions(ctx context.Context) (broker.Options, error) {
	r := &reading{BrokerOptions: o.Broker, listen: o.Listen, log: o.Log}
	if r.listen == "" {
		r.listen = DefaultBroker
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	bo := broker.Options{
		Dir: filepath.Join(o.Data, "log"), Log: o.Log, Partitions: r.partitions(), NoSync: r.noSync(), Settings: r.settings(),
		Listener: broker.Listener{Addr: r.listen, Listener: r.listener()},
		Security: r.security(),
	}
	r.checkReach(ctx, bo.Listener)
	if r.ListenPlain != "" {
		plain := broker.Listener{Addr: r.ListenPlain}
		r.checkReach(ctx, plain)
		bo.More = append(bo.More, plain)
	}
	if len(r.problems) > 0 {
		return broker.Options{}, &OptionsError{Problems: r.problems}
	}
	return bo, nil
}

func (r *reading) partitions() int {
	const most = 10_000
	if r.Partitions < 0 || r.Partitions > most {
		r.problem("8 is right for most", "read --partitions %d: want a number from 1 to %d", r.Partitions, most)
	}
	return r.Partitions
}

func (r *reading) noSync() bool {
	switch r.Fsync {
	case "", FsyncGroup:
		return false
	case FsyncOff:
		return true
	}
	r.problem("group is safe from a loss of power, off is not", "read --fsync %q: want %s or %s", r.Fsync, FsyncGroup, FsyncOff)
	return false
}

func (r *reading) settings() map[string]string {
	set := map[string]string{}
	for _, s := range r.Settings {
		name, value, ok := strings.Cut(s, "=")
		if _, twice := set[name]; twice {
			r.problem("leave one of them out", "read --set %q: %s is set twice", s, name)
		}
		if !ok || name == "" {
			r.problem("for example --set log.retention.hours=24", "read --set %q: want name=value", s)
			continue
		}
		set[name] = value
	}
	if invalid, ok := errors.AsType[*config.InvalidError](config.CheckBroker(set)); ok {
		for _, p := range invalid.Problems {
			r.problem("`kafka-configs --describe --all --entity-type brokers --entity-name 0` lists the settings", "%s", p)
		}
	}
	return set
}

func (r *reading) listener() server.Listener {
	l := server.Listener{Advertised: r.advertised(), Mechanisms: r.mechanisms()}
	if r.usesTLS() {
		l.TLS, l.Mapping = r.tls(), r.mapping()
	}
	if l.TLS == nil && !r.usesTLS() && slices.Contains(l.Mechanisms, acl.Plain) {
		r.problem("add --tls-cert and --tls-key, or use --sasl scram-sha-512", "read --sasl: PLAIN sends passwords, so it needs TLS")
	}
	if len(l.Mechanisms) == 0 && len(r.Users) > 0 {
		r.problem("add --sasl scram-sha-512", "read --user: without --sasl nobody logs in")
	}
	return l
}

// usesTLS says whether anything about TLS is asked for.
func (r *reading) usesTLS() bool {
	return r.TLSCert != "" || r.TLSKey != "" || r.TLSClientCA != "" || r.TLSClientRequired || r.TLSMapping != ""
}

func (r *reading) advertised() string {
	if r.Advertise == "" {
		return ""
	}
	host, port, err := net.SplitHostPort(r.Advertise)
	if err == nil {
		_, err = new(net.Resolver).LookupPort(context.Background(), "tcp", port)
	}
	if ip := net.ParseIP(host); err != nil || host == "" || ip != nil && ip.IsUnspecified() {
		r.problem("give the name and port by which clients reach this machine, as in broker.example.com:9092", "read --advertise %q: want host:port that leads here", r.Advertise)
	}
	return r.Advertise
}

func (r *reading) mechanisms() (all []acl.Mechanism) {
	known := []acl.Mechanism{acl.ScramSHA512, acl.ScramSHA256, acl.Plain}
	for _, name := range r.SASL {
		m := acl.Mechanism(strings.ToUpper(strings.TrimSpace(name)))
		switch {
		case !slices.Contains(known, m):
			r.problem("choose from scram-sha-512, scram-sha-256 and plain", "read --sasl %q: no such mechanism", name)
		case !slices.Contains(all, m):
			all = append(all, m)
		}
	}
	return all
}

func (r *reading) checkReach(ctx context.Context, l broker.Listener) {
	host, _, err := net.SplitHostPort(l.Addr)
	if err != nil {
		r.problem("for example "+DefaultBroker, "listen on %q: want host:port", l.Addr)
		return
	}
	if l.Guarded() || isLoopback(ctx, host) {
		return
	}
	if l.Addr == r.ListenPlain {
		r.problem("use a loopback address such as 127.0.0.1:9092", "listen on %q: --listen-plain asks nobody who they are, so it serves this machine only", l.Addr)
		return
	}
	r.problem("add --tls-cert, --tls-key, --sasl scram-sha-512 and --user; or --tls-client-ca with --tls-client-required; or listen on "+DefaultBroker,
		"listen on %q: other machines could reach it, and nobody is asked who they are", l.Addr)
}

// isLoopback says whether only this machine can reach an address. One that cannot be looked up is the broker's to report.
func isLoopback(ctx context.Context, host string) bool {
	ips, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return host != ""
	}
	return !slices.ContainsFunc(ips, func(ip net.IPAddr) bool { return !ip.IP.IsLoopback() })
}

func (r *reading) security() server.Security {
	s := server.Security{Authorize: r.Authorize, OpenIfNone: r.OpenIfNone, Users: r.users()}
	for _, name := range r.SuperUsers {
		if user, ok := strings.CutPrefix(name, "User:"); !ok || user == "" {
			r.problem("for example --super-user User:admin", "read --super-user %q: want User:NAME", name)
		}
		s.SuperUsers = append(s.SuperUsers, acl.Principal(name))
	}
	switch {
	case r.Authorize && len(r.SASL) == 0 && r.TLSClientCA == "" && !slices.Contains(s.SuperUsers, acl.Anonymous):
		r.problem("add --sasl with --user, or --tls-client-ca; --super-user User:ANONYMOUS lets everybody keep lists", "read --authorize: nobody is asked who they are, so nobody could be allowed more than others")
	case r.Authorize && len(s.SuperUsers) == 0 && !r.OpenIfNone:
		r.log.Warn("no --super-user: access control lists can be changed only by whom one of them allows it")
	case !r.Authorize && (len(s.SuperUsers) > 0 || r.OpenIfNone):
		r.problem("add --authorize", "read --super-user and --open-if-no-acl: without --authorize everybody may do everything")
	}
	return s
}

// users reads the passwords. They never stand on a command line, where every process of the machine could see them.
func (r *reading) users() map[string]string {
	all := map[string]string{}
	for _, u := range r.Users {
		name, where, ok := strings.Cut(u, ":")
		if !ok || name == "" || !strings.HasPrefix(where, "@") && !strings.HasPrefix(where, "env:") {
			r.problem("for example --user alice:@alice.password or --user alice:env:ALICE_PASSWORD", "read --user %q: want NAME:@FILE or NAME:env:VARIABLE", name+":…")
			continue
		}
		password, err := r.password(where)
		if err != nil {
			r.problem("put the password there, on one line", "read the password of user %q: %w", name, err)
			continue
		}
		if _, twice := all[name]; twice {
			r.problem("leave one of them out", "read --user %q: there are two of that name", name)
		}
		if _, err := acl.New(acl.Options{}).Users.Set(name, password, 0); err != nil {
			r.problem("choose another", "read --user: %w", err)
		}
		all[name] = password
	}
	return all
}

func (r *reading) password(where string) (string, error) {
	if variable, ok := strings.CutPrefix(where, "env:"); ok {
		if os.Getenv(variable) == "" {
			return "", fmt.Errorf("the environment has no %s", variable)
		}
		return os.Getenv(variable), nil
	}
	return readSecret(where[1:], r.log)
}
