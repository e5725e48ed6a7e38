package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
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
	"github.com/stekring/stekring/internal/jitter"
	"github.com/stekring/stekring/keyring"
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
	askFlags(cmd)
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
	askFlags(cmd)
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
	before, fleetBefore, err := f.ring(ctx) // out of reach, or no ring, is said before anything is asked
	if err != nil {
		return err
	}
	q.By, q.Patience = caller(), (requestTime - 3*time.Second).Seconds()
	b, err := json.Marshal(q)
	if err != nil {
		return err
	}
	key := f.layout.Request(strings.ToLower(rand.Text()))
	return election.Hold(ctx, f.client, requestTime, func(s *concurrency.Session) error {
		if _, err := s.Client().Put(s.Ctx(), key, string(b), clientv3.WithLease(s.Lease())); err != nil {
			if definite(err) {
				return f.unreachable(cmd.Context(), err)
			}
			return &exitError{exitUnreachable, fmt.Errorf("%s: %w; etcd may have it and a leader carry it out: see stekring status before you ask again",
				q.Op, f.unreachable(cmd.Context(), err))}
		}
		answer, err := f.answer(s.Ctx(), key)
		switch {
		case err != nil:
			return fmt.Errorf("%s: no answer %s; if a leader was just then at it, it may have been carried out: see stekring status", q.Op, limit(cmd))
		case answer.Refused != "":
			return fmt.Errorf("%s refused: %s", q.Op, plain(answer.Refused))
		}
		return f.confirm(s.Ctx(), cmd, q.Op, before.Info(), fleetBefore.Nodes, *answer)
	})
}

// answer waits for the leader's answer to a request.
func (f *fleetClient) answer(ctx context.Context, key string) (*fleet.Answer, error) {
	for {
		if s, err := fleet.Read(ctx, f.client, f.layout); err == nil {
			for _, q := range s.Requests {
				if q.Key == key && q.Answer != nil {
					return q.Answer, nil
				}
			}
		}
		if err := jitter.Sleep(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// confirm waits until the ring is what the answer says, and every node reports it
// that was alive before or is now. Anyone who can write to etcd can write an
// answer; only who has the KEK can write a ring, so it is the ring that is
// believed.
func (f *fleetClient) confirm(ctx context.Context, cmd *cobra.Command, op string, before keyring.Info, nodes []fleet.Node, a fleet.Answer) error {
	want := keyring.Info{Epoch: a.Epoch, Version: a.Version}
	if want.Compare(before) <= 0 || op == fleet.Revoke && want.Epoch <= before.Epoch {
		return fmt.Errorf("%s was not carried out: the answer names epoch %d version %d, which is not after epoch %d version %d; "+
			"somebody else writes to etcd", op, a.Epoch, a.Version, before.Epoch, before.Version)
	}
	code, behind := exitFailed, "the ring does not have it"
	for {
		ring, s, err := f.ring(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			code, behind = exitFailed, "the ring cannot be read: "+err.Error()
		case ring.Info().Compare(want) >= 0:
			ids := s.Behind(nodes, want)
			if len(ids) == 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "epoch %d version %d on %d nodes\n", a.Epoch, a.Version, len(s.Nodes))
				return nil
			}
			code, behind = exitUnhealthy, "these nodes do not report it, and may go on with what they had: "+plain(strings.Join(ids, ", "))
		}
		if jitter.Sleep(ctx, 50*time.Millisecond) != nil {
			return &exitError{code, fmt.Errorf("%s: epoch %d version %d is the answer, but %s %s", op, a.Epoch, a.Version, limit(cmd), behind)}
		}
	}
}

// limit says what ended the wait.
func limit(cmd *cobra.Command) string {
	if cmd.Context().Err() != nil {
		return "before the interrupt"
	}
	return "within " + requestTime.String()
}

// caller names who asks, for the leader's log.
func caller() string {
	host, _ := os.Hostname()
	if u, err := user.Current(); err == nil {
		return u.Username + "@" + host
	}
	return host
}
