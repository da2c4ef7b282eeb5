package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ravenswood.dev/internal/node"
)

type brokerOptions struct {
	output
	node.BrokerOptions
	listen string
}

func (a *app) brokerCommand() *cobra.Command {
	var o brokerOptions
	cmd := &cobra.Command{
		Use:   "broker",
		Short: "Run the embedded broker alone",
		Long: `Runs the embedded broker on the data folder until Ctrl-C, and prints its address. Any Kafka client can use it.

Unless told otherwise it serves this machine only and asks nobody who they are. For other machines it takes TLS and a login,
by password (SASL) or by certificate; access control lists say what each may do. All of it is what Kafka calls by the same
names, and Kafka's tools work. Passwords are named, never given: a file or a variable of the environment holds them.`,
		Example: `  raven broker --data /tmp/log --listen 127.0.0.1:0
  kcat -L -b 127.0.0.1:19092
  raven broker --listen 0.0.0.0:9092 --advertise broker.example.com:9092 --tls-cert broker.pem --tls-key broker.key \
    --sasl scram-sha-512 --user admin:@admin.password --authorize --super-user User:admin --listen-plain 127.0.0.1:19092`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd); err != nil {
				return err
			}
			return a.broker(cmd.Context(), o)
		},
	}
	o.bind(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.listen, "listen", node.DefaultBroker, "address to listen on; port 0 takes a free one")
	flags.StringVar(&o.ListenPlain, "listen-plain", "", "one more address, of this machine only, without TLS and login")
	flags.StringVar(&o.Advertise, "advertise", "", "host:port that clients are told to use (default the address they reached)")
	flags.IntVar(&o.Partitions, "partitions", node.DefaultPartitions, "partitions of topics that are made without saying how many")
	flags.StringArrayVar(&o.Settings, "set", nil, "a broker setting of Kafka, as name=value; may be repeated")
	o.bindSecurity(flags)
	bindFsync(flags, &o.Fsync)
	return cmd
}

func (o *brokerOptions) bindSecurity(flags *pflag.FlagSet) {
	flags.StringVar(&o.TLSCert, "tls-cert", "", "certificate, PEM; with it --listen speaks TLS only")
	flags.StringVar(&o.TLSKey, "tls-key", "", "private key of the certificate, PEM")
	flags.StringVar(&o.TLSClientCA, "tls-client-ca", "", "authorities whose client certificates are believed, PEM")
	flags.BoolVar(&o.TLSClientRequired, "tls-client-required", false, "refuse clients that show no certificate")
	flags.StringVar(&o.TLSMapping, "tls-mapping", "", "from certificate to user, as in Kafka's ssl.principal.mapping.rules")
	flags.StringSliceVar(&o.SASL, "sasl", nil, "log in with these mechanisms: scram-sha-512, scram-sha-256, plain")
	flags.StringArrayVar(&o.Users, "user", nil, "a user whose password is in a file or variable: NAME:@FILE, NAME:env:VARIABLE; may be repeated")
	flags.BoolVar(&o.Authorize, "authorize", false, "forbid what no access control list allows")
	flags.StringArrayVar(&o.SuperUsers, "super-user", nil, "may do everything: User:NAME; may be repeated")
	flags.BoolVar(&o.OpenIfNone, "open-if-no-acl", false, "with --authorize: what no list speaks of is open to all")
}

// bindFsync is for all commands that run the embedded broker.
func bindFsync(flags *pflag.FlagSet, value *string) {
	flags.StringVar(value, "fsync", node.FsyncGroup,
		"group: an acknowledged record survives a loss of power; off: only the end of the process")
}

func (a *app) broker(ctx context.Context, o brokerOptions) error {
	b, err := node.StartBroker(ctx, node.Options{Data: a.global.data, Listen: o.listen, Broker: o.BrokerOptions, Log: a.log})
	if wrong, ok := errors.AsType[*node.OptionsError](err); ok {
		return a.refuseOptions(wrong)
	}
	if err != nil {
		return err
	}
	// The other commands of this machine come in where nobody logs in.
	local := b.Addrs()[len(b.Addrs())-1]
	if err := node.WriteWhereabouts(a.global.data, node.Whereabouts{PID: os.Getpid(), Brokers: []string{local}}); err != nil {
		_ = b.Close() // the first error tells
		return err
	}
	err = a.sayBroker(b.Addrs(), o)
	if err == nil {
		<-ctx.Done()
		fmt.Fprintln(a.Err, "stopping")
	}
	if err := node.RemoveWhereabouts(a.global.data); err != nil {
		a.log.Warn("left the whereabouts behind", "err", err)
	}
	return errors.Join(err, b.Close())
}

func (a *app) sayBroker(addrs []string, o brokerOptions) error {
	a.sayFsync(o.Fsync)
	if o.json() {
		return printJSONLine(a.Out, map[string]any{"address": addrs[0], "addresses": addrs, "data": a.global.data})
	}
	_, err := fmt.Fprintf(a.Out, "broker listens on %s, data in %s\n", strings.Join(addrs, " and "), a.global.data)
	return err
}

// sayFsync says what is given up, if something is.
func (a *app) sayFsync(value string) {
	if value == node.FsyncOff {
		fmt.Fprintln(a.Err, "fsync is off: a loss of power may take records that were acknowledged; the end of this process does not")
	}
}

// refuseOptions prints all that is wrong but the last, which is left to the caller.
func (a *app) refuseOptions(e *node.OptionsError) error {
	last := len(e.Problems) - 1
	for _, p := range e.Problems[:last] {
		fmt.Fprintf(a.Err, "error: %s\nhint: %s\n", p.Error(), p.Advice)
	}
	return &usageError{err: e.Problems[last].Err, hint: e.Problems[last].Advice}
}
