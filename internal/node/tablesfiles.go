package node

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/tables"
)

// The bounds of tokens. A short one can be guessed. Two are enough to go from one to the next.
const (
	tokenMin  = 16
	tokenMax  = 1024
	tokensMax = 2
)

// maxSecretFile bounds a file with a password.
const maxSecretFile = 4 << 10

// tokens finds the tokens. They never stand on a command line, where every process of the machine could see them.
func (r *tablesReading) tokens() tables.Tokens {
	const advice = "make one with `(umask 077; openssl rand -hex 32 > tables.token)`; all processes of a topology need the same"
	tokens, err := readTablesTokens(r.TokenFile, r.log)
	switch {
	case err != nil:
		r.problem(advice, "%w", err)
	case tokens == nil && r.Listen != "":
		r.problem("name a file with --tables-token-file, or set "+TablesTokenVariable+"; "+advice, "read --tables-listen: whoever asks there must show a token, and there is none")
	}
	return tokens
}

// ReadTablesToken reads the token for tables that is shown to others from a file, or without one from the environment. It
// is empty if neither is there. Errors do not show it.
func ReadTablesToken(file string, log *slog.Logger) (string, error) {
	tokens, err := readTablesTokens(file, log)
	if err != nil || tokens == nil {
		return "", err
	}
	return tokens()[0], nil
}

// readTablesTokens returns at least one token each time it is called, or nil if there is none.
func readTablesTokens(file string, log *slog.Logger) (tables.Tokens, error) {
	if file != "" {
		warnIfOpen(file, log)
		w, err := watchFile(file, parseTokens, log)
		if err != nil {
			return nil, fmt.Errorf("read --tables-token-file: %w", err)
		}
		return w.current, nil
	}
	text := os.Getenv(TablesTokenVariable)
	if text == "" {
		return nil, nil
	}
	list, err := parseTokens([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", TablesTokenVariable, err)
	}
	return func() []string { return list }, nil
}

// parseTokens reads a token a line.
func parseTokens(text []byte) ([]string, error) {
	list := strings.Split(strings.TrimRight(string(text), "\r\n"), "\n")
	if len(list) > tokensMax {
		return nil, fmt.Errorf("there are %d lines, want one, or two while the token changes", len(list))
	}
	for i, token := range list {
		token = strings.TrimSuffix(token, "\r")
		list[i] = token
		switch {
		case len(token) < tokenMin || len(token) > tokenMax:
			return nil, fmt.Errorf("the token has %d characters, want %d to %d", len(token), tokenMin, tokenMax)
		case strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }):
			return nil, errors.New("the token has characters other than letters, digits and punctuation")
		}
	}
	return list, nil
}

// warnIfOpen says so if others can read a secret.
func warnIfOpen(path string, log *slog.Logger) {
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 && info.Mode().IsRegular() {
		log.Warn("others can read a secret; make it chmod 600", "file", path)
	}
}

// readSecret reads a secret that is the only line of its file.
func readSecret(path string, log *slog.Logger) (string, error) {
	warnIfOpen(path, log)
	text, err := readFileUpTo(path, maxSecretFile)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(text), "\r\n")
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
	host := hostOf(told)
	if isUnspecified(host) {
		return c // it was complained about
	}
	if err := credible(c.Certificates[0].Leaf, host, time.Now()); err != nil {
		r.problem(fmt.Sprintf("have %q among the subject alternative names of a certificate that is valid now, or say with --tables-advertise by which of its names the others reach this machine", host),
			"read --tables-tls-cert %q: the others, who are told %q, would not believe it: %w", r.TLSCert, told, err)
	}
	k := &credibleOnly{host: host, file: r.TLSCert, log: r.log, next: c.GetConfigForClient, good: c}
	c.GetConfigForClient = k.current
	return c
}

// credible says why others would not believe a certificate, as far as it can be known here.
func credible(c *x509.Certificate, host string, now time.Time) error {
	switch {
	case now.After(c.NotAfter):
		return fmt.Errorf("it was valid until %s", c.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(c.NotBefore):
		return fmt.Errorf("it is valid from %s on", c.NotBefore.UTC().Format(time.RFC3339))
	}
	return c.VerifyHostname(host)
}

// credibleOnly keeps a new certificate from being shown to others who would not believe it: the one before stays.
type credibleOnly struct {
	host, file string
	log        *slog.Logger
	next       func(*tls.ClientHelloInfo) (*tls.Config, error) // reads the files again if they changed

	mu   sync.Mutex
	seen *tls.Config // GUARDED_BY(mu); what next gave last
	good *tls.Config // GUARDED_BY(mu)
}

func (k *credibleOnly) current(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	c, err := k.next(hello)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if c == k.seen {
		return k.good, nil
	}
	k.seen = c
	if err := credible(c.Certificates[0].Leaf, k.host, time.Now()); err != nil {
		k.log.Warn("keeping the old certificate: the other processes would not believe the new one", "file", k.file, "host", k.host, "err", err)
		return k.good, nil
	}
	k.good = c
	return c, nil
}

func (r *tablesReading) authorities() func() *tls.Config {
	if r.TLSCA == "" {
		return nil
	}
	file, err := watchFile(r.TLSCA, parseAuthorities, r.log)
	if err != nil {
		r.problem("give a PEM file with the certificates of the authorities", "read --tables-tls-ca %q: %w", r.TLSCA, err)
		return nil
	}
	return file.current
}

// ReadTablesAuthorities reads whose certificates are believed when tables are asked.
func ReadTablesAuthorities(file string) (*tls.Config, error) {
	text, err := readFileUpTo(file, watchedFileMax)
	if err != nil {
		return nil, fmt.Errorf("read --tables-tls-ca: %w", err)
	}
	c, err := parseAuthorities(text)
	if err != nil {
		return nil, fmt.Errorf("read --tables-tls-ca %q: %w", file, err)
	}
	return c, nil
}

func parseAuthorities(text []byte) (*tls.Config, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("no certificate in it")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, nil
}
