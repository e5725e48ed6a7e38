package election_test

import (
	"context"
	"errors"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/stekring/stekring/election"
)

func TestLeader(t *testing.T) {
	w := newWorld(t)
	expect := func(want string, wantErr error) {
		t.Helper()
		for _, prefix := range []string{w.prefix, w.prefix + "/"} {
			if id, err := election.Leader(t.Context(), w.admin, prefix); id != want || !errors.Is(err, wantErr) {
				t.Errorf("Leader(%q) = %q, %v, want %q, %v", prefix, id, err, want, wantErr)
			}
		}
	}
	// What only begins like the prefix is another election.
	if _, err := w.admin.Put(t.Context(), w.prefix+"s/x", "x"); err != nil {
		t.Fatal(err)
	}
	expect("", election.ErrNoLeader)

	a := w.stand(w.client(), "a", never)
	await(t, "a to lead", a.terms)
	expect("a", nil)
	b := w.stand(w.client(), "b", never)
	w.standing("b", 0)
	expect("a", nil)
	a.stop(t)
	await(t, "b to lead", b.terms)
	expect("b", nil)
	b.stop(t)
	expect("", election.ErrNoLeader)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := election.Leader(ctx, w.admin, w.prefix); err == nil || errors.Is(err, election.ErrNoLeader) {
		t.Errorf("Leader() = %v without an answer from etcd, want an error that is not ErrNoLeader", err)
	}
}

func TestHoldRevokes(t *testing.T) {
	w := newWorld(t)
	failed := errors.New("failed")
	for name, test := range map[string]struct {
		f    func(context.CancelFunc) error
		want error
	}{
		"success":        {func(context.CancelFunc) error { return nil }, nil},
		"failure":        {func(context.CancelFunc) error { return failed }, failed},
		"end of context": {func(cancel context.CancelFunc) error { cancel(); return failed }, failed},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var id clientv3.LeaseID
		var session context.Context
		err := election.Hold(ctx, w.client(), never, func(s *concurrency.Session) error {
			id, session = s.Lease(), s.Ctx()
			if ttl := w.ttl(id); ttl <= 0 {
				t.Errorf("%s: TTL = %d while held", name, ttl)
			}
			return test.f(cancel)
		})
		cancel()
		if err != test.want {
			t.Errorf("%s: Hold() = %v, want %v", name, err, test.want)
		}
		if ttl := w.ttl(id); ttl != -1 {
			t.Errorf("%s: TTL = %d after Hold, want -1", name, ttl)
		}
		if session.Err() == nil {
			t.Errorf("%s: the session outlives Hold", name)
		}
	}
}
