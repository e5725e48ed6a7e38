package memory_test

import (
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func (s store) ttl(id clientv3.LeaseID) *clientv3.LeaseTimeToLiveResponse {
	s.t.Helper()
	r, err := s.c.TimeToLive(s.soon(), id, clientv3.WithAttachedKeys())
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// long is a lease's time to live, in seconds, of which no test sees the end. One
// that ended would make a revision in somebody else's count.
const long = 3600

func init() {
	tame["a lease"] = func(t *testing.T, s store) {
		g, err := s.c.Grant(s.soon(), long)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "granted", line(g.TTL, g.ID != 0, g.Error, g.Revision > 0), line(long, true, "", true))
		s.put("a", "", clientv3.WithLease(g.ID))
		s.put("b", "", clientv3.WithLease(g.ID))
		r := s.ttl(g.ID)
		same(t, "time to live", line(r.ID == g.ID, r.GrantedTTL, r.TTL > long-60 && r.TTL <= long, len(r.Keys)), line(true, long, true, 2))
		other := s.grant(long)
		s.put("b", "", clientv3.WithLease(other))
		same(t, "keys after one moved", string(s.ttl(g.ID).Keys[0]), s.key("a"))

		rev := s.put("c", "", clientv3.WithLease(g.ID))
		w := s.watch("", clientv3.WithPrefix())
		revoked, err := s.c.Revoke(s.soon(), g.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "revision of a revocation", revoked.Header.Revision, rev+1)
		same(t, "the one response to it", s.show(s.next(w).Events), "-a -c")
		same(t, "keys left", s.names(s.get("", clientv3.WithPrefix()).Kvs), "b")
		r = s.ttl(g.ID)
		same(t, "time to live of none", line(r.ID == g.ID, r.TTL, r.GrantedTTL, len(r.Keys)), line(true, -1, 0, 0))
		_, err = s.c.Revoke(s.soon(), g.ID)
		wantErr(t, "revoking again", err, rpctypes.ErrLeaseNotFound)
		_, err = s.c.KeepAliveOnce(s.soon(), g.ID)
		wantErr(t, "keeping what is gone", err, rpctypes.ErrLeaseNotFound)
		_, err = s.c.Grant(s.soon(), 9_000_000_001)
		wantErr(t, "asking for ages", err, rpctypes.ErrLeaseTTLTooLarge)
		zero, err := s.c.Grant(s.soon(), 0)
		wantErr(t, "asking for nothing", err, nil)
		same(t, "what asking for nothing gets", zero.TTL, 1)
	}
	wild["leases"] = func(t *testing.T, s store) {
		a, b := s.grant(long), s.grant(long/2)
		r, err := s.c.Leases(s.soon())
		if err != nil {
			t.Fatal(err)
		}
		same(t, "leases", line(r.Leases[0].ID, r.Leases[1].ID, len(r.Leases)), line(b, a, 2))
	}
	tame["a lease that nobody keeps"] = func(t *testing.T, s store) {
		w := s.watch("", clientv3.WithPrefix())
		start := time.Now()
		id := s.grant(1)
		s.put("a", "", clientv3.WithLease(id))
		s.put("b", "", clientv3.WithLease(id))
		s.put("c", "", clientv3.WithLease(id))
		rev := s.put("c", "")
		s.events(w, 4)
		r := s.next(w)
		same(t, "what it takes with it", line(s.show(r.Events), r.Header.Revision >= rev+1), line("-a -b", true))
		same(t, "both at once", r.Events[0].Kv.ModRevision, r.Events[1].Kv.ModRevision)
		if took := time.Since(start); took < time.Second {
			t.Errorf("a lease of a second lived for %v", took)
		}
	}
	tame["a lease that is kept"] = func(t *testing.T, s store) {
		id := s.grant(1)
		s.put("a", "", clientv3.WithLease(id))
		alive, err := s.c.KeepAlive(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for range 4 {
			select {
			case r := <-alive:
				same(t, "answer", line(r.ID == id, r.TTL, r.Revision > 0), line(true, 1, true))
			case <-s.soon().Done():
				t.Fatal("no answer within a minute")
			}
		}
		if took := time.Since(start); took < 900*time.Millisecond {
			t.Errorf("the fourth answer for a lease of one second came after %v", took)
		}
		s.one("a")
		if _, err := s.c.Revoke(s.soon(), id); err != nil {
			t.Fatal(err)
		}
		for range alive { // until it notices
		}
		same(t, "keys of a revoked lease", s.get("a").Count, 0)
	}
	tame["who stops keeping"] = func(t *testing.T, s store) {
		id := s.grant(long)
		one, err := s.c.KeepAliveOnce(s.soon(), id)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "one answer", line(one.ID == id, one.TTL), line(true, long))
		none, err := s.c.KeepAlive(t.Context(), 1<<60)
		wantErr(t, "keeping what is not there", err, nil)
		for range none {
			t.Error("an answer for a lease that is not there")
		}
		kept, err := s.c.KeepAlive(t.Context(), id)
		wantErr(t, "keeping", err, nil)
		<-kept
		_ = s.c.Close()
		for range kept {
		}
		_, err = s.c.KeepAlive(t.Context(), id)
		same(t, "keeping after the end", err != nil, true)
		_, err = s.c.KeepAliveOnce(t.Context(), id)
		same(t, "keeping once after the end", clientv3.IsConnCanceled(err), true)
		_, err = s.c.Grant(t.Context(), 1)
		same(t, "granting after the end", clientv3.IsConnCanceled(err), true)
		s.c = s.client()
		same(t, "the lease is there", s.ttl(id).GrantedTTL, long)
	}
}
