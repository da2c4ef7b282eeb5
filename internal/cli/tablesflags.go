package cli

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ravenswood.dev/internal/node"
	"ravenswood.dev/stream/tables"
)

// tablesListener are the flags of commands that run topologies whose tables other machines ask.
type tablesListener struct{ node.TablesOptions }

func (l *tablesListener) bind(flags *pflag.FlagSet) {
	flags.StringVar(&l.Listen, "tables-listen", "", "let other machines ask for tables at this host:port, for nothing else; they show a token")
	flags.StringVar(&l.Advertise, "tables-advertise", "", "host:port that the other processes are told to ask at (default --tables-listen)")
	flags.StringVar(&l.TLSCert, "tables-tls-cert", "", "certificate of --tables-listen, PEM, for the host of --tables-advertise")
	flags.StringVar(&l.TLSKey, "tables-tls-key", "", "private key of the certificate, PEM")
	flags.BoolVar(&l.Plain, "tables-plain", false, "ask and answer other machines without TLS: the token and the answers can be read on the way")
	bindTablesTrust(flags, &l.TokenFile, &l.TLSCA)
}

func bindTablesTrust(flags *pflag.FlagSet, token, authorities *string) {
	flags.StringVar(token, "tables-token-file", "", "file with the token that tables are asked with, or with two while it changes (or "+node.TablesTokenVariable+")")
	flags.StringVar(authorities, "tables-tls-ca", "", "authorities that the certificates of other processes are believed by, PEM (default the system's)")
}

// sayTables says where other machines can ask.
func (a *app) sayTables(n *node.Node) {
	if url := n.TablesURL(); url != "" {
		fmt.Fprintf(a.Err, "other machines ask for tables at %s\n", url)
	}
}

// tablesAt says which processes are asked for tables: by default the one of the data folder, at its admin API.
type tablesAt struct {
	addresses        []string
	token, authority string
}

func (t *tablesAt) bind(flags *pflag.FlagSet) {
	flags.StringSliceVar(&t.addresses, "tables-address", nil, "ask a process on another machine: host:port of its --tables-listen, or https://host:port; several: the next one when one is gone")
	bindTablesTrust(flags, &t.token, &t.authority)
}

// tableClient asks where the flags say.
func (a *app) tableClient(cmd *cobra.Command) (*tables.Client, error) {
	t := &a.tables
	if len(t.addresses) == 0 {
		if t.token != "" || t.authority != "" {
			return nil, usage(cmd, "read --tables-token-file and --tables-tls-ca: they are for --tables-address")
		}
		return tables.NewClient(tables.Options{}, a.adminAddress()), nil
	}
	if a.global.admin != "" {
		return nil, usage(cmd, "read --tables-address: it does not go together with --admin")
	}
	var addresses []string
	for _, address := range t.addresses {
		full, err := tablesURL(address)
		if err != nil {
			return nil, usage(cmd, "read --tables-address: %w", err)
		}
		addresses = append(addresses, full)
	}
	token, err := node.ReadTablesToken(t.token, a.log)
	if err == nil && token == "" {
		return nil, withHint(fmt.Errorf("ask %s: whoever asks there must show a token, and there is none", addresses[0]), "%s", tokenHint)
	}
	var trust *tls.Config
	if err == nil && t.authority != "" {
		trust, err = node.ReadTablesAuthorities(t.authority)
	}
	if err != nil {
		return nil, withHint(err, "the processes were started with the same token, and a certificate of that authority")
	}
	return tables.NewClient(tables.Options{Token: token, TLS: trust}, addresses...), nil
}

const tokenHint = "name the file that holds the processes' token with --tables-token-file, or set " + node.TablesTokenVariable

// tablesURL takes TLS for granted.
func tablesURL(address string) (string, error) {
	scheme, hostport, found := strings.Cut(address, "://")
	if !found {
		scheme, hostport = "https", address
	}
	if _, _, err := net.SplitHostPort(hostport); err != nil || scheme != "https" && scheme != "http" {
		return "", fmt.Errorf("address %q: want host:port, or http://host:port of a process that listens without TLS", address)
	}
	return scheme + "://" + hostport, nil
}
