package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/tables"
)

// TablesOptions say how processes on several machines ask each other for tables, in the words of a command line. The zero
// value lets only programs of this machine ask, by the admin API.
type TablesOptions struct {
	Listen    string // address of a listener for questions, nothing else; empty: there is none
	Advertise string // host:port that the other processes are told; empty: Listen
	TokenFile string // holds, on one line, what the others want and we do; empty: the environment's RAVEN_TABLES_TOKEN
	TLSCert   string // PEM files of the listener
	TLSKey    string
	TLSCA     string // PEM file of the authorities that the others' certificates are believed by; empty: the system's
	Plain     bool   // without TLS, although others on the way can read the token and the answers
}

// TablesTokenVariable is the variable of the environment that holds the token.
const TablesTokenVariable = "RAVEN_TABLES_TOKEN"

// The bounds of a token. A short one can be guessed.
const (
	tokenMin = 16
	tokenMax = 1024
)

// tablesAccess is what TablesOptions come to.
type tablesAccess struct {
	token string
	serve *tls.Config // of the listener; nil: without TLS
	ask   *tls.Config // of questions to others; nil: the system's authorities
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
	a.token = r.token()
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

// token finds the token. It never stands on a command line, where every process of the machine could see it.
func (r *tablesReading) token() string {
	token, err := ReadTablesToken(r.TokenFile, r.log)
	const advice = "make one with `(umask 077; openssl rand -hex 32 > tables.token)`; all processes of a topology need the same"
	switch {
	case err != nil:
		r.problem(advice, "%w", err)
	case token == "" && r.Listen != "":
		r.problem("name a file with --tables-token-file, or set "+TablesTokenVariable+"; "+advice, "read --tables-listen: whoever asks there must show a token, and there is none")
	}
	return token
}

// ReadTablesToken reads the token for tables from a file, or without one from the environment. It is empty if neither is
// there. Errors do not show it.
func ReadTablesToken(file string, log *slog.Logger) (string, error) {
	token, where := os.Getenv(TablesTokenVariable), TablesTokenVariable
	if file != "" {
		where = "--tables-token-file"
		var err error
		if token, err = readSecret(file, log); err != nil {
			return "", fmt.Errorf("read %s: %w", where, err)
		}
	}
	switch {
	case token == "" && file == "":
		return "", nil
	case len(token) < tokenMin || len(token) > tokenMax:
		return "", fmt.Errorf("read %s: the token has %d characters, want %d to %d", where, len(token), tokenMin, tokenMax)
	case strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }):
		return "", fmt.Errorf("read %s: the token has characters other than letters, digits and punctuation", where)
	}
	return token, nil
}

// maxSecretFile bounds a file with a password or token.
const maxSecretFile = 4 << 10

// readSecret reads a file of one line that nobody else should be able to read.
func readSecret(path string, log *slog.Logger) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().Perm()&0o077 != 0 && info.Mode().IsRegular() {
		log.Warn("others can read a secret; make it chmod 600", "file", path)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxSecretFile))
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(raw), "\r\n")
	if secret == "" || strings.ContainsAny(secret, "\r\n") {
		return "", fmt.Errorf("%q does not hold one line", path)
	}
	return secret, nil
}

// certificate reads the files of the listener. One that is not for the address the others are told would be refused by
// all of them, each time.
func (r *tablesReading) certificate() *tls.Config {
	if r.TLSCert == "" && r.TLSKey == "" || r.Listen == "" {
		return nil
	}
	if r.TLSCert == "" || r.TLSKey == "" {
		r.problem("give both --tables-tls-cert and --tables-tls-key, PEM files", "configure TLS for tables: certificate or key is missing")
		return nil
	}
	c, err := acl.NewTLS(acl.TLSFiles{Cert: r.TLSCert, Key: r.TLSKey}, r.log)
	if err != nil {
		r.problem("the files must be PEM, and the key that of the certificate", "%w", err)
		return nil
	}
	told := r.Advertise
	if told == "" {
		told = r.Listen
	}
	if host := hostOf(told); !isUnspecified(host) {
		if err := c.Certificates[0].Leaf.VerifyHostname(host); err != nil {
			r.problem(fmt.Sprintf("have %q among the subject alternative names of the certificate, or say with --tables-advertise by which of its names the others reach this machine", host),
				"read --tables-tls-cert %q: the others, who are told %q, would not believe it: %w", r.TLSCert, told, err)
		}
	}
	return c
}

func (r *tablesReading) authorities() *tls.Config {
	if r.TLSCA == "" {
		return nil
	}
	c, err := ReadTablesAuthorities(r.TLSCA)
	if err != nil {
		r.problem("give a PEM file with the certificates of the authorities", "%w", err)
	}
	return c
}

// ReadTablesAuthorities reads whose certificates are believed when tables are asked.
func ReadTablesAuthorities(file string) (*tls.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read --tables-tls-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read --tables-tls-ca %q: no certificate in it", file)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, nil
}

// peers is how this process asks others.
func (n *Node) peers() tables.Peers {
	return tables.Peers{Token: n.access.token, TLS: n.access.ask, Plain: n.options.Tables.Plain}
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
