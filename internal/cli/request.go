package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/stekring/stekring/election"
	"github.com/stekring/stekring/internal/fleet"
)

// requestTime is how long rotate and revoke take at most, from the request to
// the last node's report of the new ring.
const requestTime = 10 * time.Second

const maxReason = 500 // bytes

func rotateCmd() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Rotate now: the staged key seals, no ticket is lost",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd, fleet.Request{Op: fleet.Rotate, Reason: reason})
		},
	}
	configFlags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "for the leader's log")
	return cmd
}

func revokeCmd() *cobra.Command {
	var reason string
	var yes bool
	cmd := &cobra.Command{
		Use:   "revoke",
		Short: "Replace every key now: every ticket of before is lost",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case reason == "":
				return usage("revoke needs --reason: it goes to the leader's log")
			case !yes:
				return usage("revoke makes every client shake hands in full; say --yes if you mean it")
			}
			return ask(cmd, fleet.Request{Op: fleet.Revoke, Reason: reason})
		},
	}
	configFlags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "for the leader's log; required")
	cmd.Flags().BoolVar(&yes, "yes", false, "yes, lose every ticket")
	return cmd
}

// ask puts a request, waits for the leader's answer and then for every live
// node to report the new ring.
func ask(cmd *cobra.Command, q fleet.Request) error {
	if len(q.Reason) > maxReason {
		return usage("--reason of %d bytes: must be at most %d", len(q.Reason), maxReason)
	}
	f, err := open(cmd)
	if err != nil {
		return err
	}
	defer f.close()
	ctx, cancel := context.WithTimeout(cmd.Context(), requestTime)
	defer cancel()
	if _, err := f.read(ctx); err != nil { // so that out of reach is said as such
		return err
	}
	q.By, q.Patience = caller(), (requestTime - 2*time.Second).Seconds()
	b, err := json.Marshal(q)
	if err != nil {
		return err
	}
	key := f.layout.Request(strings.ToLower(rand.Text()))
	err = election.Hold(ctx, f.client, requestTime, func(s *concurrency.Session) error {
		if _, err := s.Client().Put(s.Ctx(), key, string(b), clientv3.WithLease(s.Lease())); err != nil {
			return f.unreachable(cmd.Context(), err)
		}
		answer, err := f.answer(s.Ctx(), key)
		if err != nil {
			return err
		}
		if answer.Refused != "" {
			return fmt.Errorf("%s refused: %s", q.Op, answer.Refused)
		}
		return f.confirm(s.Ctx(), cmd, *answer)
	})
	if ctx.Err() != nil && cmd.Context().Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: no leader answered within %v; the request is withdrawn; see: stekring status", q.Op, requestTime)
	}
	return err
}

// answer waits for the leader's answer to a request.
func (f *fleetClient) answer(ctx context.Context, key string) (*fleet.Answer, error) {
	for {
		s, err := f.read(ctx)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			return nil, err
		}
		for _, q := range s.Requests {
			if q.Key == key && q.Answer != nil {
				return q.Answer, nil
			}
		}
		if err := election.Sleep(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// confirm waits until every live node reports the ring of an answer.
func (f *fleetClient) confirm(ctx context.Context, cmd *cobra.Command, a fleet.Answer) error {
	var behind []string
	for {
		s, err := f.read(ctx)
		if err == nil {
			if behind = s.Behind(a.Epoch, a.Version); len(behind) == 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "epoch %d version %d on %d nodes\n", a.Epoch, a.Version, len(s.Nodes))
				return nil
			}
		}
		if election.Sleep(ctx, 50*time.Millisecond) != nil {
			return fmt.Errorf("epoch %d version %d is committed, but these nodes have not reported it within %v: %s",
				a.Epoch, a.Version, requestTime, strings.Join(behind, ", "))
		}
	}
}

// caller names who asks, for the leader's log.
func caller() string {
	host, _ := os.Hostname()
	if u, err := user.Current(); err == nil {
		return u.Username + "@" + host
	}
	return host
}
