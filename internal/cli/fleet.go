package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/daemon"
	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/seal"
)

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
	// Listeners are nothing to one who asks; their files may not be here.
	if err := (&config.Config{Etcd: cfg.Etcd, Seal: cfg.Seal}).CheckFiles(); err != nil {
		return nil, err
	}
	f := &fleetClient{cfg: cfg, layout: fleet.NewLayout(cfg.Etcd.Prefix, cfg.Ring)}
	if f.kek, err = daemon.KEK(cfg.Seal); err != nil {
		return nil, &exitError{exitUsage, err}
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
	if definite(err) {
		return fmt.Errorf("etcd at %s: %s", strings.Join(f.cfg.Etcd.Endpoints, ", "), brief(err))
	}
	why := []string{brief(err)}
	config, err := daemon.TLS(f.cfg.Etcd, zap.NewNop())
	if err != nil {
		why = append(why, err.Error())
	} else {
		for _, e := range f.cfg.Etcd.Endpoints {
			if err := knock(ctx, e, config); err != nil {
				why = append(why, brief(err))
			}
		}
	}
	return &exitError{exitUnreachable, fmt.Errorf("etcd at %s: %s", strings.Join(f.cfg.Etcd.Endpoints, ", "), strings.Join(why, "; "))}
}

// brief is an error with a peer's words in it, in one line.
func brief(err error) string { return fmt.Sprintf("%.1000s", plain(err.Error())) }

// definite reports whether etcd was reached, and will not do it.
func definite(err error) bool {
	var e rpctypes.EtcdError
	return errors.As(err, &e) && slices.Contains([]codes.Code{
		codes.PermissionDenied, codes.Unauthenticated, codes.ResourceExhausted, codes.InvalidArgument, codes.FailedPrecondition,
	}, e.Code())
}

// ring reads the fleet and opens its ring.
func (f *fleetClient) ring(ctx context.Context) (*keyring.Ring, fleet.Snapshot, error) {
	s, err := f.read(ctx)
	if err != nil {
		return nil, s, err
	}
	if s.RingRev == 0 && s.Leader != "" {
		why := "and does not report why"
		for _, n := range s.Nodes {
			if n.ID == s.Leader && n.Problem != "" {
				why = "because: " + plain(n.Problem)
			}
		}
		return nil, s, fmt.Errorf("no ring at %s: %s leads and has not written one, %s", f.layout.Ring(), plain(s.Leader), why)
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

// knock connects to an endpoint; no config is in clear.
func knock(ctx context.Context, endpoint string, config *tls.Config) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, host, _ := strings.Cut(endpoint, "://")
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
	defer c.Close()
	// With TLS 1.3 a server refuses a client's certificate only after the
	// handshake. One that does not waits for what the client says.
	_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%s: %w", endpoint, err)
	}
	return nil
}
