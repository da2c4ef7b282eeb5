package cli

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/node"
)

// globals are the flags every command has.
type globals struct {
	data      string
	brokers   []string
	admin     string
	logLevel  string
	logFormat string
}

func (g *globals) bind(flags *pflag.FlagSet) {
	flags.StringVar(&g.data, "data", ".raven", "folder of the embedded broker's log and of what a node keeps")
	flags.StringSliceVar(&g.brokers, "brokers", envList("RAVEN_BROKERS"), "use this Kafka cluster instead of the embedded broker: host:port,... (or RAVEN_BROKERS)")
	flags.StringVar(&g.admin, "admin", "", "address of the node's admin API (default "+node.DefaultAdmin+")")
	flags.StringVar(&g.logLevel, "log-level", "info", "least level that is logged: debug, info, warn, error")
	flags.StringVar(&g.logFormat, "log-format", "text", "form of the log on stderr: text, json")
}

func envList(name string) []string {
	var list []string
	for s := range strings.SplitSeq(os.Getenv(name), ",") {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	return list
}

// cluster says which cluster a command talks to: --brokers, else what the node that has the data folder uses, else
// where the embedded broker listens unless told otherwise.
func (a *app) cluster() kafka.Config {
	cfg := kafka.Config{Brokers: a.global.brokers, ClientID: "raven-cli", Log: a.log}
	if len(cfg.Brokers) == 0 {
		cfg.Brokers = node.ReadWhereabouts(a.global.data).Brokers
	}
	if len(cfg.Brokers) == 0 {
		cfg.Brokers = []string{node.DefaultBroker}
	}
	return cfg
}

// adminAddress says where the node's admin API is.
func (a *app) adminAddress() string {
	if a.global.admin != "" {
		return a.global.admin
	}
	if w := node.ReadWhereabouts(a.global.data); w.Admin != "" {
		return w.Admin
	}
	return node.DefaultAdmin
}

// output is the --output flag: text or json.
type output struct{ format string }

func (o *output) bind(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&o.format, "output", "o", "text", "form of stdout: text, json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

func (o *output) check(cmd *cobra.Command) error {
	if o.format != "text" && o.format != "json" {
		return usage(cmd, "read --output %q: want text or json", o.format)
	}
	return nil
}

func (o *output) json() bool { return o.format == "json" }
