package election_test

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"google.golang.org/grpc/connectivity"

	"github.com/stekring/stekring/election"
)

// A Campaign whose context ends resigns first, under its client's context. With
// etcd out of reach that lasts as long as the outage, and so would a shutdown
// that waits for it.
func TestStopDuringOutage(t *testing.T) {
	w := newWorld(t)
	c := w.control()
	c.put("a")
	ctx, cancel := context.WithCancel(t.Context())
	client := c.client()
	stuck := c.bare(ctx, client, "b", never)
	watching(t, client)

	leader := w.stand(w.client(), "a", never)
	await(t, "a to lead", leader.terms)
	behind := w.client()
	waiting := w.stand(behind, "b", never)
	watching(t, behind)

	w.etcd.Down()
	// A call over a connection that is just breaking would fail at once.
	poll(t, "the connection to break", func() bool { return client.ActiveConnection().GetState() != connectivity.Ready })
	cancel()
	waiting.stop(t)
	leader.stop(t)
	if over(stuck.result) {
		t.Error("control: Campaign ended with its context")
	}
}

// A session asks for its lease under its client's context, so without etcd it
// neither starts nor fails.
func TestStartDuringOutage(t *testing.T) {
	w := newWorld(t)
	w.etcd.Down()

	client, stuck := w.client(), make(chan struct{})
	go func() { defer close(stuck); _, _ = concurrency.NewSession(client) }()
	t.Cleanup(func() { _ = client.Close(); <-stuck })

	stopped := w.stand(w.client(), "a", never)
	held := make(chan error, 1)
	go func() {
		held <- election.Hold(context.WithoutCancel(t.Context()), w.admin, never, func(*concurrency.Session) error { return nil })
	}()
	if err := await(t, "Hold to return", held); err == nil {
		t.Error("Hold() = nil without etcd")
	}
	stopped.stop(t)
	if over(stuck) {
		t.Error("control: NewSession returned without etcd")
	}

	n := w.stand(w.client(), "b", never)
	w.etcd.Up()
	await(t, "b to lead once etcd is there", n.terms)
}

// An etcd that comes back still has what was in it, for a whole new TTL. A
// candidate that gave up its lease meanwhile would find its own key before its
// new one, and wait for itself.
func TestOutageOwesNoLease(t *testing.T) {
	const ttl = 3 * time.Second
	w := newWorld(t)
	client := w.client()
	n := w.stand(client, "a", ttl)
	first := await(t, "a to lead", n.terms)
	key := string(w.key("a").Key)

	// Another waits in a line of its own.
	other, waiting := w.control(), w.client()
	other.put("a")
	other.stand(waiting, "b", ttl)
	watching(t, waiting)

	w.etcd.Down()
	await(t, "the context of lead to end", first.Done())
	// One revocation fails when the candidacy ends, the next before there is
	// another.
	poll(t, "revocations to fail", func() bool { return refused(client) >= 2 && refused(waiting) >= 2 })
	w.etcd.Up()

	second := await(t, "a to lead again", n.terms)
	for r := range w.admin.Watch(t.Context(), key, clientv3.WithRev(first.Number()+1), clientv3.WithFilterPut()) {
		if len(r.Events) == 0 {
			continue
		}
		if gone := r.Events[0].Kv.ModRevision; gone > second.Number() {
			t.Errorf("the old key went at %d, after the new one came at %d", gone, second.Number())
		}
		return
	}
	t.Error("the old key is still there")
}
