package cli

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/etcd"
)

func etcdCmd() *cobra.Command {
	var m etcd.Member
	cmd := &cobra.Command{
		Use:   "etcd",
		Short: "Run a member of an etcd, for demos and tests only",
		Long: "Run a member of an etcd with TLS, for demos and tests only: in production run etcd\n" +
			"itself. It serves clients at port 2379, and its health where a node does.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if m.Name == "" {
				m.Name, _ = os.Hostname()
			}
			if m.Cluster == "" {
				return usage("etcd needs --cluster NAME=https://HOST:PORT,...")
			}
			log, _, closeLog := logger(config.Log{Level: "warn", Format: "json"}, cmd.ErrOrStderr())
			defer closeLog()
			return m.Run(cmd.Context(), log)
		},
	}
	f := cmd.Flags()
	f.StringVar(&m.Name, "name", "", "of this member (default: the host name)")
	f.StringVar(&m.Cluster, "cluster", "", "all members: `NAME=https://HOST:PORT,...`")
	f.StringVar(&m.Dir, "data-dir", "", "`DIR` for its data")
	f.StringVar(&m.CertFile, "cert-file", "", "certificate `FILE`, for clients and for other members")
	f.StringVar(&m.KeyFile, "key-file", "", "its key `FILE`")
	f.StringVar(&m.CAFile, "ca-file", "", "`FILE` of the CA of members and clients")
	f.StringVar(&m.HealthURL, "health-url", "http://127.0.0.1:9474", "where to serve /readyz and /metrics")
	return cmd
}
