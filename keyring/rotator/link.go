package rotator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// linked notes whether etcd answers.
func (r *Rotator) linked(err error) {
	r.mu.Lock()
	was := r.link
	r.link = err
	r.mu.Unlock()
	switch {
	case err != nil:
		// The client waits ever longer between connections, up to minutes.
		if conn := r.cfg.Client.ActiveConnection(); conn != nil {
			conn.ResetConnectBackoff()
		}
		if was != nil && trouble(was) == trouble(err) {
			return
		}
		r.log.Warn(trouble(err)+"; will try again", zap.String("serving_with", r.instead()), zap.String("key", r.path.Ring()),
			zap.Strings("endpoints", r.cfg.Client.Endpoints()), zap.Error(err))
	case was != nil:
		r.log.Info("etcd answers again")
	default:
		return
	}
	r.tell()
}

// trouble says what kind of error a look at etcd ended with.
func trouble(err error) string {
	if e := (rpctypes.EtcdError{}); errors.As(err, &e) && e.Code() != codes.Unavailable {
		return "etcd does not let this node read the ring"
	}
	return "etcd does not answer"
}

// instead says what this node seals with while it gets no ring from etcd.
func (r *Rotator) instead() string {
	switch h, a := r.view.snapshot(); {
	case h.ring == nil:
		return "an own key, as no ring is known yet"
	case a.local:
		return "an own key, as the last good ring is stale"
	}
	return "the last good ring"
}

// why adds to an error that time is up what gRPC knows of the connections. The
// client drops that, as it tries reads again until then; a bare call it takes for
// a write, which it does not.
func (r *Rotator) why(ctx context.Context, err error) error {
	conn := r.cfg.Client.ActiveConnection()
	if conn == nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, answer := etcdserverpb.NewKVClient(conn).Range(ctx, &etcdserverpb.RangeRequest{Key: []byte(r.path.Ring()), KeysOnly: true})
	if s := status.Convert(answer); s.Code() == codes.Unavailable {
		return fmt.Errorf("%w: %.300s", err, s.Message())
	}
	return err
}
