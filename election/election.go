// Package election runs a function on one process at a time and gives it a
// fence. It wraps etcd's concurrency.Election, whose answers alone are not
// proof of leadership, and knows nothing but etcd.
//
// Being elected is a hint: a process can be stopped for any time between the
// election and its next write. What makes writes safe is [Term.Fence], put into
// the same transaction as the write.
package election

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"

	"github.com/stekring/stekring/internal/jitter"
)

const (
	callTimeout   = 3 * time.Second
	revokeTimeout = 2 * time.Second
	maxBackoff    = 3 * time.Second
)

// ErrNoLeader is returned by Leader while nobody leads.
var ErrNoLeader = errors.New("election: no leader")

// errDeposed ends a term whose key is gone from etcd.
var errDeposed = errors.New("election: deposed")

// Candidate stands in the election under a prefix of etcd keys, which must
// hold nothing else.
type Candidate struct {
	Client *clientv3.Client
	Prefix string        // of the election's keys, without a slash at the end
	ID     string        // what Leader answers while this candidate leads
	TTL    time.Duration // of the lease, in whole seconds; etcd raises it to 1.5 times its own election timeout
	Log    *zap.Logger   // nil is silent
}

// Term is one unbroken period of leading.
type Term struct {
	key string
	rev int64
}

// Fence is the comparison that holds in etcd for as long as the term does. A
// write whose transaction has it cannot come from a deposed leader.
func (t Term) Fence() clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(t.key), "=", t.rev)
}

// Number is the etcd revision at which the term's candidacy began. Later
// candidacies have higher ones.
func (t Term) Number() int64 { return t.rev }

// Run stands for election until ctx ends, and calls lead whenever it is
// elected. The context of lead ends with the term; when lead returns, with or
// without an error, Run resigns and stands again after a pause, which grows
// while terms are short. Losing an election, a term or etcd is no error. Run returns
// context.Cause(ctx) within seconds of its end, and lead has returned by then.
func (c *Candidate) Run(ctx context.Context, lead func(context.Context, Term) error) error {
	log := c.Log
	if log == nil {
		log = zap.NewNop()
	}
	var owed clientv3.LeaseID
	said := "" // of what etcd forbids, since the last term
	for pause := (jitter.Backoff{}); ; {
		var err error
		var led time.Duration
		if owed != 0 {
			// etcd may have kept it through an outage, and our key with it,
			// which would have us wait for ourselves. It is not to be
			// forgotten before etcd is there to hear of it.
			err = revoke(ctx, c.Client, owed)
		}
		if err == nil {
			owed, err = hold(ctx, c.Client, c.TTL, func(s *concurrency.Session) error {
				term, err := c.campaign(s)
				if err != nil {
					return err
				}
				start := time.Now()
				said = ""
				log.Info("elected", zap.Int64("term", term.rev))
				err = c.serve(s, term, lead)
				log.Info("term over", zap.Int64("term", term.rev), zap.NamedError("why", err))
				led = time.Since(start)
				return err
			})
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch {
		case err == nil:
		case forbidden(err) && err.Error() != said:
			log.Warn("etcd does not let this node stand for election; will try again", zap.String("key", c.Prefix), zap.Error(err))
			said = err.Error()
		default:
			log.Debug("candidacy over", zap.Error(err))
		}
		if led > maxBackoff {
			pause.Reset()
		}
		if pause.Sleep(ctx, maxBackoff) != nil {
			return context.Cause(ctx)
		}
	}
}

// forbidden reports whether etcd answers, and that it will not have this client
// write: for want of permission, or of space. It does so until somebody helps.
func forbidden(err error) bool {
	var e rpctypes.EtcdError
	return errors.As(err, &e) && (e.Code() == codes.PermissionDenied || e.Code() == codes.Unauthenticated || e.Code() == codes.InvalidArgument || errors.Is(err, rpctypes.ErrNoSpace))
}

// campaign returns once this candidate leads by etcd's own word.
func (c *Candidate) campaign(s *concurrency.Session) (Term, error) {
	e := concurrency.NewElection(s, strings.TrimSuffix(c.Prefix, "/"))
	if err := e.Campaign(s.Ctx(), c.ID); err != nil {
		return Term{}, fmt.Errorf("election: campaign: %w", err)
	}
	// Campaign waits for the keys before its own to go, and does not notice
	// when its own goes first; it answers nil then too.
	t := Term{key: e.Key(), rev: e.Rev()}
	if _, err := t.prove(s.Ctx(), s.Client()); err != nil {
		return Term{}, err
	}
	return t, nil
}

// serve calls lead under a context that ends when the lease or the key does.
func (c *Candidate) serve(s *concurrency.Session, t Term, lead func(context.Context, Term) error) error {
	ctx, cancel := context.WithCancelCause(s.Ctx())
	done := make(chan struct{})
	go func() {
		defer close(done)
		cancel(t.watch(ctx, s.Client()))
	}()
	err := lead(ctx, t)
	cancel(nil)
	<-done
	return err
}

// watch returns when the term's key is gone, or ctx ends. The end of a session
// shows late, and not at all if somebody deletes the key.
func (t Term) watch(ctx context.Context, c *clientv3.Client) error {
	for pause := (jitter.Backoff{}); ctx.Err() == nil; {
		start := time.Now()
		rev, err := t.prove(ctx, c)
		if errors.Is(err, errDeposed) {
			return err
		}
		if err == nil {
			wctx, stop := context.WithCancel(clientv3.WithRequireLeader(ctx))
			for r := range c.Watch(wctx, t.key, clientv3.WithRev(rev+1), clientv3.WithFilterPut()) {
				if len(r.Events) > 0 {
					stop()
					return errDeposed
				}
			}
			stop()
		}
		if time.Since(start) > maxBackoff {
			pause.Reset()
		}
		_ = pause.Sleep(ctx, maxBackoff)
	}
	return context.Cause(ctx)
}

// prove reads the term's key, linearizably, and returns the revision read at.
func (t Term) prove(ctx context.Context, c *clientv3.Client) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := c.Get(ctx, t.key, clientv3.WithKeysOnly())
	if err != nil {
		return 0, fmt.Errorf("election: reading the own key: %w", err)
	}
	if len(r.Kvs) == 0 || r.Kvs[0].CreateRevision != t.rev {
		return 0, errDeposed
	}
	return r.Header.Revision, nil
}

// Leader returns the ID of the candidate that leads under prefix, or
// [ErrNoLeader]. The answer may be out of date when it arrives.
func Leader(ctx context.Context, kv clientv3.KV, prefix string) (id string, err error) {
	r, err := kv.Get(ctx, strings.TrimSuffix(prefix, "/")+"/", clientv3.WithFirstCreate()...)
	if err != nil {
		return "", fmt.Errorf("election: reading the leader: %w", err)
	}
	if len(r.Kvs) == 0 {
		return "", ErrNoLeader
	}
	return string(r.Kvs[0].Value), nil
}
