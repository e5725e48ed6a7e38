package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"go.yaml.in/yaml/v3"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/daemon"
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
				if err == nil {
					if watch && output == "table" {
						fmt.Fprint(cmd.OutOrStdout(), "\x1b[H\x1b[2J")
					}
					err = print(cmd.OutOrStdout(), st)
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
					fmt.Fprintf(cmd.ErrOrStderr(), "stekring: %v\n", err)
				}
				select {
				case <-time.After(time.Second):
				case <-cmd.Context().Done():
					return nil
				}
			}
		},
	}
	configFlags(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table, json or yaml")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "again every second, until interrupted")
	cmd.Flags().BoolVar(&check, "check", false, "exit 4 if something is wrong")
	return cmd
}

// fleetClient is what the verbs need that talk to etcd.
type fleetClient struct {
	cfg    *config.Config
	client *clientv3.Client
	layout fleet.Layout
	kek    *seal.KEK
}

// open reads the configuration; it does not reach for etcd yet.
func open(cmd *cobra.Command) (*fleetClient, error) {
	cfg, err := load(cmd, false)
	if err != nil {
		return nil, err
	}
	f := &fleetClient{cfg: cfg, layout: fleet.NewLayout(cfg.Etcd.Prefix, cfg.Ring), kek: seal.Plaintext()}
	if cfg.Seal.KEKFile != "" {
		if f.kek, err = seal.LoadKEK(cfg.Seal.KEKFile); err != nil {
			return nil, &exitError{exitUsage, fmt.Errorf("seal.kek_file: %w", err)}
		}
	}
	if f.client, err = daemon.Client(cfg.Etcd, zap.NewNop()); err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return f, nil
}

func (f *fleetClient) close() { _ = f.client.Close() }

// read returns the fleet, or an error that says why etcd is out of reach.
func (f *fleetClient) read(ctx context.Context) (fleet.Snapshot, error) {
	s, err := fleet.Read(ctx, f.client, f.layout)
	if err != nil {
		return s, f.unreachable(ctx, err)
	}
	return s, nil
}

// unreachable finds out why, as the client says no more than that time is up.
func (f *fleetClient) unreachable(ctx context.Context, err error) error {
	why := []string{err.Error()}
	for _, e := range f.cfg.Etcd.Endpoints {
		if err := f.knock(ctx, e); err != nil {
			why = append(why, err.Error())
		}
	}
	return &exitError{exitUnreachable, fmt.Errorf("etcd at %s: %s", strings.Join(f.cfg.Etcd.Endpoints, ", "), strings.Join(why, "; "))}
}

// openRing reads the fleet and opens its ring.
func (f *fleetClient) openRing(ctx context.Context) (*keyring.Ring, fleet.Snapshot, error) {
	s, err := f.read(ctx)
	if err != nil {
		return nil, s, err
	}
	if s.RingRev == 0 {
		return nil, s, fmt.Errorf("no ring at %s: nobody has led yet; start a node with: stekring run", f.layout.Ring())
	}
	r, err := f.kek.Open(f.layout.Ring(), s.Ring)
	if err != nil {
		return nil, s, fmt.Errorf("the ring at %s: %w", f.layout.Ring(), err)
	}
	return r, s, nil
}

// ring is openRing for who needs no keys.
func (f *fleetClient) ring(ctx context.Context) (keyring.Info, fleet.Snapshot, error) {
	r, s, err := f.openRing(ctx)
	if err != nil {
		return keyring.Info{}, s, err
	}
	return r.Info(), s, nil
}

// knock connects to an endpoint, with the TLS of the configuration.
func (f *fleetClient) knock(ctx context.Context, endpoint string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, host, _ := strings.Cut(endpoint, "://")
	config, err := daemon.TLS(f.cfg.Etcd, zap.NewNop())
	if err != nil {
		return err
	}
	var d interface {
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	} = &net.Dialer{}
	if config != nil {
		d = &tls.Dialer{Config: config}
	}
	c, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return fmt.Errorf("%s: %w", endpoint, err)
	}
	return c.Close()
}

func (f *fleetClient) status(ctx context.Context) (fleet.Status, error) {
	r, s, err := f.openRing(ctx)
	if err != nil {
		return fleet.Status{}, err
	}
	return fleet.Describe(f.cfg.Ring, r, s, time.Now()), nil
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
	now := time.Now()
	if s.Leader.ID == "" {
		bad = append(bad, errors.New("nobody leads"))
	} else if !slices.ContainsFunc(s.Nodes, func(n fleet.NodeStatus) bool { return n.Leader }) {
		bad = append(bad, fmt.Errorf("%s leads and does not report", plain(s.Leader.ID)))
	}
	if late := now.Sub(s.NextRotation); !s.NextRotation.IsZero() && late > max(time.Minute, s.Policy.Interval/10) {
		bad = append(bad, fmt.Errorf("the rotation is %v overdue", late.Round(time.Second)))
	}
	for _, n := range s.Nodes {
		if n.LagMS > 5000 {
			bad = append(bad, fmt.Errorf("%s is at version %d, the ring at %d", plain(n.ID), n.Version, s.Version))
		}
		if n.Local {
			bad = append(bad, fmt.Errorf("%s seals with its own key", plain(n.ID)))
		}
		if n.Problem != "" {
			bad = append(bad, fmt.Errorf("%s: %s", plain(n.ID), plain(n.Problem)))
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return &exitError{exitUnhealthy, errors.Join(bad...)}
}

var statusPrinters = map[string]func(io.Writer, fleet.Status) error{
	"table": statusTable,
	"json": func(w io.Writer, s fleet.Status) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(s)
	},
	"yaml": func(w io.Writer, s fleet.Status) error { return yaml.NewEncoder(w).Encode(s) },
}

func statusTable(out io.Writer, s fleet.Status) error {
	now := time.Now()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "RING %s\tepoch %d\tversion %d\trotated %s ago\tnext %s\n",
		s.Ring, s.Epoch, s.Version, span(now.Sub(s.LastRotation)), until(s.NextRotation, now))
	leader := "LEADER none"
	if s.Leader.ID != "" {
		leader = "LEADER " + plain(s.Leader.ID)
		if !s.Leader.Since.IsZero() {
			leader += "\tfor " + span(now.Sub(s.Leader.Since))
		}
	}
	fmt.Fprintf(w, "%s\n\nKEY\tROLE\tAGE\tACTIVE SINCE\tDROPS\n", leader)
	for _, k := range s.Keys {
		active := "-"
		if !k.Activated.IsZero() {
			active = span(now.Sub(k.Activated)) + " ago"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Role, span(now.Sub(k.Created)), active, until(k.DropsAt, now))
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
