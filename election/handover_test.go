package election_test

import (
	"context"
	"errors"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// None of these leases ends by itself, so every change of leader is a
// resignation.

func TestErrorFromLeadHandsOver(t *testing.T) {
	w := newWorld(t)
	a := w.stand(w.client(), "a", never)
	first := await(t, "a to lead", a.terms)
	b := w.stand(w.client(), "b", never)
	w.standing("b", 0)

	a.leave <- errors.New("cannot go on")
	await(t, "the context of a's term to end", first.Done())
	second := await(t, "b to lead", b.terms)
	if w.holds(first.Term) {
		t.Error("a's fence holds after it resigned")
	}
	// Behind b, a is the next.
	w.standing("a", second.Number())
	b.leave <- nil
	third := await(t, "a to lead again", a.terms)
	w.standing("b", third.Number())
	if first.Number() >= second.Number() || second.Number() >= third.Number() {
		t.Errorf("terms %d, %d, %d do not increase", first.Number(), second.Number(), third.Number())
	}
}

// A session revokes its lease under the context it was made with. At a shutdown
// that is over, and the next leader waits for the lease to expire.
func TestShutdownRevokesUnderCancelledContext(t *testing.T) {
	w := newWorld(t)
	c := w.control()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	old := c.bare(ctx, c.client(), "a", never, concurrency.WithContext(ctx))
	old.elected(t)
	next := c.bare(t.Context(), c.client(), "b", never)
	c.standing("b", 0)
	cancel()
	if err := old.session.Close(); !errors.Is(err, context.Canceled) {
		t.Fatalf("control: Close() = %v, want %v", err, context.Canceled)
	}

	a := w.stand(w.client(), "a", never)
	await(t, "a to lead", a.terms)
	lease := w.key("a").Lease
	b := w.stand(w.client(), "b", never)
	w.standing("b", 0)
	a.stop(t)
	await(t, "b to lead", b.terms)
	if ttl := w.ttl(clientv3.LeaseID(lease)); ttl != -1 {
		t.Errorf("TTL of the stopped leader's lease = %d, want -1", ttl)
	}

	if c.key("a") == nil || over(next.result) {
		t.Error("control: the closed session handed over")
	}
	if ttl := c.ttl(old.session.Lease()); ttl <= 0 {
		t.Errorf("control: TTL of the closed session's lease = %d, want it to live", ttl)
	}
}

func TestStopWhileWaitingLeavesTheLine(t *testing.T) {
	w := newWorld(t)
	a := w.stand(w.client(), "a", never)
	await(t, "a to lead", a.terms)
	b := w.stand(w.client(), "b", never)
	w.standing("b", 0)
	b.stop(t)
	if w.key("b") != nil {
		t.Error("the stopped candidate still has a key")
	}
	if len(b.terms) > 0 {
		t.Error("the stopped candidate led")
	}
}

// ttl returns what etcd says is left of a lease, -1 for one that it does not know.
func (w world) ttl(id clientv3.LeaseID) int64 {
	w.Helper()
	r, err := w.admin.TimeToLive(w.Context(), id)
	if err != nil {
		w.Fatal(err)
	}
	return r.TTL
}
