package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/fleet"
)

func etcdRolesCmd() *cobra.Command {
	var file string
	var rings []string
	cmd := &cobra.Command{
		Use:   "etcd-roles",
		Short: "Print the etcdctl commands that make etcd's roles for a ring",
		Long: "Print the etcdctl commands that make etcd's roles for a ring, for those who may lead, those\n" +
			"who only follow, and those who ask for rotations, for: stekring etcd-roles --ring www | sh -e\n" +
			"It needs no network and no KEK, and with --ring no configuration.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			layouts, err := layouts(file, rings)
			if err != nil {
				return err
			}
			for _, l := range layouts {
				l.print(cmd.OutOrStdout())
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration `FILE`, for its ring and etcd.prefix (default "+defaultConfig+", if it exists)")
	cmd.Flags().StringSliceVar(&rings, "ring", nil, "name of the ring in place of the configuration's; more than once for more")
	return cmd
}

// named is a ring, and where it is in etcd.
type named struct {
	ring string
	fleet.Layout
}

// layouts returns where rings are by a configuration; none is its own.
func layouts(file string, rings []string) (found []named, err error) {
	if file == "" {
		if _, err := os.Stat(defaultConfig); err == nil {
			file = defaultConfig
		}
	}
	given := len(rings) > 0
	if !given {
		rings = []string{""}
	}
	partial := file == "" && given // only the prefix could be said elsewhere
	for _, ring := range rings {
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		config.Flags(flags)
		if given {
			_ = flags.Set("ring", ring)
		}
		cfg, err := config.Load(file, flags, partial)
		switch {
		case err != nil && file == "" && !partial:
			return nil, fmt.Errorf("no --ring and no --config given, and no %s here:\n%w", defaultConfig, err)
		case err != nil:
			return nil, err
		case strings.ContainsFunc(cfg.Etcd.Prefix, unicode.IsControl):
			return nil, usage("etcd.prefix %q: must have no control characters, to stand in a command", cfg.Etcd.Prefix)
		}
		found = append(found, named{cfg.Ring, fleet.NewLayout(cfg.Etcd.Prefix, cfg.Ring)})
	}
	return found, nil
}

// print writes commands. All keys of a ring have one prefix, which ends with a
// slash so that a role for www does not open www2.
func (n named) print(w io.Writer) {
	for _, role := range []struct {
		name, does string
		grants     [][2]string // permission, prefix
	}{
		{"candidate", "nodes that may lead, and stekring import", [][2]string{{"readwrite", n.Root()}}},
		{"observer", "nodes with election.candidate: false, and stekring status", [][2]string{{"read", n.Root()}}},
		{"operator", "stekring status, rotate and revoke", [][2]string{{"read", n.Root()}, {"write", n.Requests()}}},
	} {
		name := "stekring-" + n.ring + "-" + role.name
		fmt.Fprintf(w, "# %s: %s\netcdctl role add %s\n", name, role.does, name)
		for _, g := range role.grants {
			fmt.Fprintf(w, "etcdctl role grant-permission --prefix %s %s %s\n", name, g[0], quoted(g[1]))
		}
		fmt.Fprintf(w, "#   etcdctl user grant-role USER %s\n", name)
	}
}

// quoted is s as a shell reads it.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
