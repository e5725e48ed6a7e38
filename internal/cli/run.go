package cli

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/daemon"
)

func runCmd() *cobra.Command {
	var dev bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run one node",
		Long: "Run one node: follow the ring, stand for election, serve the TLS listeners of the\n" +
			"configuration. TERM or INT resigns and drains, a second one stops at once, HUP\n" +
			"reloads the listeners, the policy, the KEK file and the log level.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd, dev)
			if err != nil {
				return err
			}
			if err := cfg.CheckFiles(); err != nil {
				return err
			}
			// A node goes on when whoever reads its log is gone.
			signal.Ignore(syscall.SIGPIPE)
			log, level, closeLog := logger(cfg.Log, cmd.ErrOrStderr())
			defer closeLog()
			if err := keepMemory(); err != nil {
				log.Warn("the system may write keys to a core file", zap.Error(err))
			}
			if runtime.GOOS == "windows" {
				log.Warn("there is no HUP here: a changed configuration needs a restart")
			}
			hup := make(chan os.Signal, 1)
			signal.Notify(hup, syscall.SIGHUP)
			defer signal.Stop(hup)
			return daemon.Run(cmd.Context(), cfg, daemon.Options{
				Log: log, Level: level, Build: build(), Dev: dev, Hangup: hup,
				Reload: func() (*config.Config, error) {
					next, err := load(cmd, dev)
					if err != nil {
						return nil, err
					}
					return next, next.CheckFiles()
				},
			})
		},
	}
	configFlags(cmd)
	cmd.Flags().BoolVar(&dev, "dev", false, "for development: etcd in this process and a KEK in memory where the configuration names none")
	return cmd
}
