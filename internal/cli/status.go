package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/seal"
)

func statusCmd() *cobra.Command {
	var output string
	var watch, check bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the ring and the nodes, as etcd has them",
		Long: "Show the ring and the nodes, as etcd has them. With --check, exit 4 if nobody leads,\n" +
			"the rotation is overdue, or a node is behind or seals with its own key.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			print, ok := statusPrinters[output]
			if !ok {
				return usage("--output %q: want table, json or yaml", output)
			}
			if watch && check {
				return usage("--watch never ends, and --check is for the exit code: give one of them")
			}
			f, err := open(cmd)
			if err != nil {
				return err
			}
			defer f.close()
			for {
				st, err := f.status(cmd.Context())
				if st.Ring != "" {
					if watch && output == "table" {
						fmt.Fprint(cmd.OutOrStdout(), "\x1b[H\x1b[2J")
					}
					if bad := print(cmd.OutOrStdout(), st); err == nil {
						err = bad
					}
				}
				if check {
					err = checked(st, err)
				}
				switch {
				case watch && cmd.Context().Err() != nil:
					return nil
				case !watch:
					return err
				}
				if err != nil {
					fmt.Fprintf(cmd.ErrOrStderr(), "stekring: %s\n", said(err, nil))
				}
				select {
				case <-time.After(time.Second):
				case <-cmd.Context().Done():
					return nil
				}
			}
		},
	}
	askFlags(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table, json or yaml")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "again every second, until interrupted")
	cmd.Flags().BoolVar(&check, "check", false, "exit 4 if something is wrong")
	return cmd
}

// status returns the fleet. With an error it may return what is known all the
// same, and names the ring then.
func (f *fleetClient) status(ctx context.Context) (st fleet.Status, err error) {
	r, s, err := f.ring(ctx)
	switch {
	case err == nil:
		st = fleet.Describe(f.cfg.Ring, r, s, time.Now())
	case s.Leader != "" || len(s.Nodes) > 0:
		st = fleet.Combine(f.cfg.Ring, keyring.Info{}, time.Time{}, time.Time{}, s, time.Now())
	}
	st.KEK, _ = seal.ID(s.Ring)
	return st, err
}

// plain keeps what others wrote into etcd from steering a terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// said is an error as it is printed. Others may have put words into it.
func said(err error, args []string) string {
	lines := strings.Split(fmt.Sprintf("%.16000s", discreet(err.Error(), args)), "\n")
	for i, line := range lines {
		words := strings.Split(line, "\t") // cobra's suggestions are indented
		for j, w := range words {
			words[j] = plain(w)
		}
		lines[i] = strings.Join(words, "\t")
	}
	return strings.Join(lines, "\n")
}

// checked says what an operator should look at, if the status could be read.
func checked(s fleet.Status, err error) error {
	var exit *exitError
	switch {
	case errors.As(err, &exit): // out of reach is no verdict
		return err
	case err != nil:
		return &exitError{exitUnhealthy, err}
	}
	var bad []error
	for _, why := range s.Trouble(time.Now()) {
		bad = append(bad, errors.New(plain(why)))
	}
	if len(bad) == 0 {
		return nil
	}
	return &exitError{exitUnhealthy, errors.Join(bad...)}
}

var statusPrinters = map[string]func(io.Writer, fleet.Status) error{
	"table": statusTable,
	"json":  func(w io.Writer, s fleet.Status) error { return indented(w, s) },
	"yaml":  func(w io.Writer, s fleet.Status) error { return yaml.NewEncoder(w).Encode(s) },
}

// indented writes JSON that people can read too.
func indented(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func statusTable(out io.Writer, s fleet.Status) error {
	now := time.Now()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	sealed := "sealed under " + s.KEK
	switch {
	case s.KEK == "" && s.Version == 0: // none, or nobody knows what
		sealed = ""
	case s.KEK == "":
		sealed = "not sealed"
	}
	if s.Version == 0 {
		fmt.Fprintln(w, strings.TrimSuffix(fmt.Sprintf("RING %s\tnot known here\t%s", s.Ring, sealed), "\t"))
	} else {
		fmt.Fprintf(w, "RING %s\tepoch %d\tversion %d\t%s\trotated %s ago\tnext %s\n",
			s.Ring, s.Epoch, s.Version, sealed, span(now.Sub(s.LastRotation)), until(s.NextRotation, now))
	}
	leader := "LEADER none"
	if s.Leader.ID != "" {
		leader = "LEADER " + plain(s.Leader.ID)
		if !s.Leader.Since.IsZero() {
			leader += "\tfor " + span(now.Sub(s.Leader.Since))
		}
	}
	fmt.Fprintln(w, leader)
	for i, k := range s.Keys {
		if i == 0 {
			fmt.Fprintf(w, "\nKEY\tROLE\tAGE\tACTIVE SINCE\tDROPS\n")
		}
		active := "-"
		if !k.Activated.IsZero() {
			active = span(now.Sub(k.Activated)) + " ago"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Role, span(now.Sub(k.Created)), active, drops(k.DropsAt, now))
	}
	fmt.Fprintf(w, "\nNODE\tEPOCH\tVERSION\tBEHIND\tSEALS WITH\tPROBLEM\n")
	for _, n := range s.Nodes {
		name, behind, with, problem := plain(n.ID), "-", "the ring", plain(n.Problem)
		if n.Leader {
			name += " *"
		}
		if n.LagMS > 0 {
			behind = span(time.Duration(n.LagMS) * time.Millisecond)
		}
		if n.Local {
			with = "its own key"
		}
		if problem == "" {
			problem = "-"
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%s\n", name, n.Epoch, n.Version, behind, with, problem)
	}
	return w.Flush()
}

// drops says when nodes drop a key, which they do whether or not it is in etcd.
func drops(t, now time.Time) string {
	if !t.IsZero() && t.Before(now) {
		return "dropped"
	}
	return until(t, now)
}

func until(t, now time.Time) string {
	switch {
	case t.IsZero():
		return "-"
	case t.Before(now):
		return span(now.Sub(t)) + " overdue"
	}
	return "in " + span(t.Sub(now))
}

// span rounds to what a person reads at a glance.
func span(d time.Duration) string {
	d = max(0, d)
	switch {
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}
