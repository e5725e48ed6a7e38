package election

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// Hold grants a lease of ttl, rounded up to seconds, within three seconds, keeps
// it alive while it runs f, revokes it, and returns f's error.
// The session's context ends with the lease or with ctx, and its client works
// only as long. Hold waits at most two seconds for the revocation; a lease that
// etcd could not be told of expires there by itself.
func Hold(ctx context.Context, c *clientv3.Client, ttl time.Duration, f func(*concurrency.Session) error) error {
	_, err := hold(ctx, c, ttl, f)
	return err
}

// hold is Hold; it also returns the lease if etcd could not be told of its end.
func hold(ctx context.Context, c *clientv3.Client, ttl time.Duration, f func(*concurrency.Session) error) (owed clientv3.LeaseID, err error) {
	gctx, stop := context.WithTimeout(ctx, callTimeout)
	lease, err := c.Grant(gctx, int64(math.Ceil(ttl.Seconds())))
	stop()
	if err != nil {
		return 0, fmt.Errorf("election: granting a lease: %w", err)
	}
	defer func() {
		// The end of ctx is when the revocation matters most.
		if revoke(context.WithoutCancel(ctx), c, lease.ID) != nil {
			owed = lease.ID
		}
	}()

	// concurrency.Election cleans up after itself under its client's context,
	// for as long as that lasts. So it gets a client over the same connection
	// whose context ends with the session.
	hctx, cancel := context.WithCancel(ctx)
	defer cancel()
	own := clientv3.NewCtxClient(hctx, clientv3.WithZapLogger(c.GetLogger()))
	own.KV, own.Lease, own.Watcher = c.KV, c.Lease, c.Watcher
	s, err := concurrency.NewSession(own, concurrency.WithLease(lease.ID), concurrency.WithContext(hctx))
	if err != nil {
		return 0, fmt.Errorf("election: keeping a lease: %w", err)
	}
	if s == nil {
		return 0, errors.New("election: keeping a lease: the client is closing")
	}
	defer s.Orphan()
	defer context.AfterFunc(s.Ctx(), cancel)()
	return 0, f(s)
}

func revoke(ctx context.Context, c *clientv3.Client, id clientv3.LeaseID) error {
	ctx, cancel := context.WithTimeout(ctx, revokeTimeout)
	defer cancel()
	_, err := c.Revoke(ctx, id)
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return nil
	}
	return err
}
