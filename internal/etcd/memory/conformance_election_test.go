package memory_test

import (
	"context"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// candidate is somebody who stands for election.
type candidate struct {
	*concurrency.Election
	session *concurrency.Session
	elected chan error
}

func (s store) stand(id string, ttl int, c *clientv3.Client) candidate {
	s.t.Helper()
	session, err := concurrency.NewSession(c, concurrency.WithTTL(ttl), concurrency.WithContext(s.t.Context()))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(session.Orphan)
	e := candidate{concurrency.NewElection(session, s.key("election")), session, make(chan error, 1)}
	go func() { e.elected <- e.Campaign(s.t.Context(), id) }()
	return e
}

func (s store) leads(c candidate, id string) {
	s.t.Helper()
	select {
	case err := <-c.elected:
		if err != nil {
			s.t.Fatalf("%s: %v", id, err)
		}
	case <-s.soon().Done():
		s.t.Fatalf("%s does not lead within a minute", id)
	}
	r, err := c.Leader(s.soon())
	if err != nil {
		s.t.Fatal(err)
	}
	same(s.t, "leader", string(r.Kvs[0].Value), id)
	same(s.t, "its revision", r.Kvs[0].CreateRevision, c.Rev())
}

func init() {
	for name, end := range map[string]func(s store, leader candidate, c *clientv3.Client) error{
		"resigning": func(s store, leader candidate, _ *clientv3.Client) error { return leader.Resign(s.soon()) },
		"a revoked lease": func(s store, leader candidate, _ *clientv3.Client) error {
			_, err := s.c.Revoke(s.soon(), leader.session.Lease())
			return err
		},
		"a lost lease": func(_ store, _ candidate, c *clientv3.Client) error { _ = c.Close(); return nil },
	} {
		tame["hand-over by "+name] = func(t *testing.T, s store) {
			var nobody error = concurrency.ErrElectionNoLeader
			other := s.client()
			first := s.stand("first", 1, other)
			s.leads(first, "first")
			second := s.stand("second", long, s.c)
			s.until("a second candidate", func() bool { return s.get("election/", clientv3.WithPrefix()).Count == 2 })
			select {
			case err := <-second.elected:
				t.Fatalf("elected beside another: %v", err)
			default:
			}
			ctx, cancel := context.WithCancel(t.Context())
			seen := second.Observe(ctx)
			same(t, "observed", string((<-seen).Kvs[0].Value), "first")
			if err := end(s, first, other); err != nil {
				t.Fatal(err)
			}
			s.leads(second, "second")
			same(t, "observed", string((<-seen).Kvs[0].Value), "second")
			cancel()
			for range seen {
			}
			if err := second.Proclaim(s.soon(), "still second"); err != nil {
				t.Fatal(err)
			}
			if err := second.session.Close(); err != nil {
				t.Fatal(err)
			}
			_, err := second.Leader(s.soon())
			wantErr(t, "leader of none", err, nobody)
			wantErr(t, "proclaiming without the key", second.Proclaim(s.soon(), "x"), concurrency.ErrElectionNotLeader)
		}
	}
}
