package acl

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLSFiles are the files of a listener that speaks TLS, in PEM.
type TLSFiles struct {
	Cert string // the broker's certificate, and those between it and the root
	Key  string // its private key
	// ClientCA holds the authorities whose client certificates are believed; empty: clients show none.
	ClientCA string
	// Require refuses clients that show no certificate of ClientCA.
	Require bool
}

// NewTLS reads the files and makes the configuration of a listener: TLS 1.2 or newer, and the files are read again when
// they change, for the connections that follow. New files that cannot be used are logged, and the old ones stay.
func NewTLS(f TLSFiles, log *slog.Logger) (*tls.Config, error) {
	if f.Require && f.ClientCA == "" {
		return nil, errors.New("configure TLS: client certificates are required but no authority is given")
	}
	k := &keeper{files: f, log: log}
	k.seen = f.stamp()
	c, err := f.load()
	if err != nil {
		return nil, fmt.Errorf("configure TLS: %w", err)
	}
	k.config = c
	outer := c.Clone()
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return k.current(), nil }
	return outer, nil
}

// keeper holds the configuration that fits the files.
type keeper struct {
	files TLSFiles
	log   *slog.Logger

	mu     sync.Mutex
	seen   stamp       // guarded by mu; of the files when they were last read, whether they were any good or not
	config *tls.Config // guarded by mu; of the last good ones
}

// current looks at the files with every handshake: three calls to the system are little beside one.
func (k *keeper) current() *tls.Config {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.files.stamp()
	if now == k.seen {
		return k.config
	}
	k.seen = now
	c, err := k.files.load()
	if err != nil {
		k.log.Warn("keeping the old certificates", "error", err)
		return k.config
	}
	k.config = c
	return c
}

// stamp tells one state of the files from another. The stamp is taken before the files are read: a change in between
// makes them be read once more.
type stamp [3]struct {
	changed time.Time
	size    int64
}

func (f TLSFiles) stamp() (s stamp) {
	for i, name := range []string{f.Cert, f.Key, f.ClientCA} {
		if info, err := os.Stat(name); err == nil {
			s[i].changed, s[i].size = info.ModTime(), info.Size()
		}
	}
	return s
}

func (f TLSFiles) load() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("load certificate %q with key %q: %w", f.Cert, f.Key, err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	if f.ClientCA == "" {
		return c, nil
	}
	text, err := os.ReadFile(f.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("load client authorities: %w", err)
	}
	c.ClientCAs = x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("load client authorities %q: no certificate in it", f.ClientCA)
	}
	c.ClientAuth = tls.VerifyClientCertIfGiven
	if f.Require {
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	// A resumed session would be believed by the authorities of its first handshake, not by those of today.
	c.SessionTicketsDisabled = true
	return c, nil
}
