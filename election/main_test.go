package election_test

import (
	"context"
	"errors"
	"log"
	"os"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/stekring/stekring/election"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		goleak.VerifyTestMain(m)
	} else if err := childMain(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

// never is a TTL of which no test sees the end, nor a second keepalive. What
// happens under it happens because somebody did it.
const never = 10 * time.Minute

// patience is what a machine in trouble gets. Only a broken build uses it up.
const patience = time.Minute

var errStop = errors.New("stopped by the test")

// world is an etcd, an administrator's client of it, and the prefix of one
// election.
type world struct {
	*testing.T
	etcd   *etcdtest.Etcd
	admin  *clientv3.Client
	prefix string
}

func newWorld(t *testing.T) world {
	t.Parallel()
	e := etcdtest.Start(t)
	return world{t, e, e.Client(), "/test/election"}
}

// control is the same etcd with another election, for showing what the
// concurrency package does on its own.
func (w world) control() world { w.prefix = "/test/control"; return w }

// put adds a key that no lease ends. To the candidates it is one of them.
func (w world) put(id string) {
	w.Helper()
	if _, err := w.admin.Put(w.Context(), w.prefix+"/"+id, id); err != nil {
		w.Fatal(err)
	}
}

func (w world) remove(key string) {
	w.Helper()
	if _, err := w.admin.Delete(w.Context(), key); err != nil {
		w.Fatal(err)
	}
}

func (w world) revoke(id int64) {
	w.Helper()
	if _, err := w.admin.Revoke(w.Context(), clientv3.LeaseID(id)); err != nil {
		w.Fatal(err)
	}
}

// key returns the candidate's key, or nil if it has none.
func (w world) key(id string) *mvccpb.KeyValue {
	w.Helper()
	r, err := w.admin.Get(w.Context(), w.prefix+"/", clientv3.WithPrefix())
	if err != nil {
		w.Fatal(err)
	}
	for _, kv := range r.Kvs {
		if string(kv.Value) == id {
			return kv
		}
	}
	return nil
}

// standing waits for the candidate to have a key newer than a revision.
func (w world) standing(id string, after int64) (kv *mvccpb.KeyValue) {
	w.Helper()
	poll(w, "a key of "+id, func() bool {
		kv = w.key(id)
		return kv != nil && kv.CreateRevision > after
	})
	return kv
}

// holds says whether etcd takes a write under the term's fence.
func (w world) holds(t election.Term) bool {
	w.Helper()
	r, err := w.admin.Txn(w.Context()).If(t.Fence()).Then(clientv3.OpPut("/test/fenced", "")).Commit()
	if err != nil {
		w.Fatal(err)
	}
	return r.Succeeded
}

// node is a running Candidate.
type node struct {
	client *clientv3.Client
	ctx    context.Context // of Run
	cancel context.CancelCauseFunc
	terms  chan term
	leave  chan error // makes lead return
	ended  chan struct{}
	err    error // of Run, once it ended
}

// term is one call of lead.
type term struct {
	context.Context
	election.Term
}

// stand starts a candidate that leads until told to leave.
func (w world) stand(c *clientv3.Client, id string, ttl time.Duration) *node {
	return w.run(c, id, ttl, func(n *node, t term) error {
		n.terms <- t
		select {
		case err := <-n.leave:
			return err
		case <-t.Done():
			return context.Cause(t)
		}
	})
}

func (w world) run(c *clientv3.Client, id string, ttl time.Duration, lead func(*node, term) error) *node {
	n := &node{client: c, terms: make(chan term, 100), leave: make(chan error), ended: make(chan struct{})}
	n.ctx, n.cancel = context.WithCancelCause(context.Background())
	log := zaptest.NewLogger(w).Named(id)
	go func() {
		defer close(n.ended)
		cand := election.Candidate{Client: c, Prefix: w.prefix, ID: id, TTL: ttl, Log: log}
		n.err = cand.Run(n.ctx, func(ctx context.Context, t election.Term) error { return lead(n, term{ctx, t}) })
	}()
	w.Cleanup(func() {
		n.cancel(nil)
		// Whatever keeps Run beyond its context, it cannot outlast its client.
		defer time.AfterFunc(10*time.Second, func() { _ = c.Close() }).Stop()
		<-n.ended
	})
	return n
}

// stop ends Run and checks what it returns.
func (n *node) stop(t testing.TB) {
	t.Helper()
	n.cancel(errStop)
	await(t, "Run to return", n.ended)
	if n.err != errStop {
		t.Errorf("Run() = %v, want the cause of its context's end, %v", n.err, errStop)
	}
}

func await[T any](t testing.TB, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", what, patience)
	}
	return v
}

func poll(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// over says whether something that is awaited has happened already.
func over[T any](c <-chan T) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
