package election_test

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// bare is a candidate as the concurrency package makes it.
type bare struct {
	*concurrency.Election
	session *concurrency.Session
	result  chan error // of Campaign
}

func (w world) bare(ctx context.Context, c *clientv3.Client, id string, ttl time.Duration, o ...concurrency.SessionOption) *bare {
	w.Helper()
	s, err := concurrency.NewSession(c, append(o, concurrency.WithTTL(int(ttl.Seconds())))...)
	if err != nil {
		w.Fatal(err)
	}
	b := &bare{concurrency.NewElection(s, w.prefix), s, make(chan error, 1)}
	done := make(chan struct{})
	go func() { defer close(done); b.result <- b.Campaign(ctx, id) }()
	// Only the end of its client is sure to end a Campaign.
	w.Cleanup(func() { _ = c.Close(); <-done })
	return b
}

// elected waits for Campaign to answer nil.
func (b *bare) elected(t testing.TB) {
	t.Helper()
	if err := await(t, "Campaign to return", b.result); err != nil {
		t.Fatalf("Campaign() = %v, want nil", err)
	}
}
