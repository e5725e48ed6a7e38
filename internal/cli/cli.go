// Package cli is the command: one file a verb.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/stekring/stekring/config"
)

// What the command exits with.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2 // or configuration
	exitUnreachable = 3 // etcd
	exitUnhealthy   = 4
)

// exitError is an error with the code to exit with.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func usage(format string, a ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, a...)}
}

// defaultConfig is read when --config is not given and it exists.
const defaultConfig = "/etc/stekring/stekring.yaml"

// Main runs the command and returns what to exit with.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks; after it, the next one ends the process.
	context.AfterFunc(ctx, stop)

	root := &cobra.Command{
		Use:           "stekring",
		Short:         "One ring of TLS session ticket keys for a whole fleet",
		Long:          "stekring shares TLS session ticket keys among a fleet through etcd, rotates them,\nand swaps them into running listeners. Try it: stekring demo",
		Version:       build(),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprint(cmd.ErrOrStderr(), cmd.UsageString())
			return usage("no command given")
		},
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return &exitError{exitUsage, meant(cmd, err)} })
	root.AddCommand(demoCmd(), runCmd(), statusCmd(), rotateCmd(), revokeCmd(), importCmd(), validateCmd(), keygenCmd(), probeCmd(),
		healthcheckCmd(), etcdCmd(), etcdRolesCmd(), manCmd(), versionCmd())
	strict(root)
	completable(root)

	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) {
		started = true
		_ = keepMemory() // run says if it cannot be
	}
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "stekring: %s\n", said(err, args))
	var exit *exitError
	var bad *config.Error
	switch {
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &bad), !started: // cobra's own errors are all of usage
		return exitUsage
	}
	return exitFailed
}

// configFlags adds what every verb takes that reads a configuration.
func configFlags(cmd *cobra.Command) {
	cmd.Flags().StringP("config", "c", "", "configuration `FILE` (default "+defaultConfig+", if it exists)")
	config.Flags(cmd.Flags())
}

// askFlags is configFlags for verbs that ask a fleet, whom most of a node's
// configuration says nothing.
func askFlags(cmd *cobra.Command) {
	configFlags(cmd)
	for _, name := range []string{"node-id", "http-address", "log-level", "log-format"} {
		_ = cmd.Flags().MarkHidden(name)
	}
}

// load reads the configuration that a command's flags name.
func load(cmd *cobra.Command, dev bool) (*config.Config, error) {
	file, _ := cmd.Flags().GetString("config")
	if file == "" && !dev {
		if _, err := os.Stat(defaultConfig); err == nil {
			file = defaultConfig
		}
	}
	cfg, err := config.Load(file, cmd.Flags(), dev)
	if err != nil && file == "" && !dev {
		return nil, fmt.Errorf("no --config given, and no %s here:\n%w", defaultConfig, err)
	}
	return cfg, err
}

// version is for builds without a version control system, as in containers.
var version string

// build returns the version that was set when the binary was linked, or else what
// the Go toolchain stamped into it.
func build() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
