package memory_test

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// up takes a server up, and dials it: an old client may be in a pause.
func (s *store) up() {
	s.Up()
	s.c = s.client()
}

func init() {
	wild["calls in an outage"] = func(t *testing.T, s store) {
		id := s.grant(long)
		s.Down()
		for what, call := range map[string]func(context.Context) error{
			"get": func(ctx context.Context) error { _, err := s.c.Get(ctx, "a"); return err },
			"put": func(ctx context.Context) error { _, err := s.c.Put(ctx, "a", ""); return err },
			"txn": func(ctx context.Context) error {
				_, err := s.c.Txn(ctx).Then(clientv3.OpPut("a", "")).Commit()
				return err
			},
			"grant":  func(ctx context.Context) error { _, err := s.c.Grant(ctx, 1); return err },
			"revoke": func(ctx context.Context) error { _, err := s.c.Revoke(ctx, id); return err },
			"keep":   func(ctx context.Context) error { _, err := s.c.KeepAliveOnce(ctx, id); return err },
			"watch": func(ctx context.Context) error {
				for r := range s.c.Watch(ctx, "a") {
					t.Errorf("a watch in an outage got %+v", r)
				}
				return ctx.Err()
			},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			wantErr(t, what, call(ctx), context.DeadlineExceeded)
			wantErr(t, what+" after it", call(ctx), context.DeadlineExceeded)
			cancel()
			ctx, cancel = context.WithCancel(t.Context())
			time.AfterFunc(100*time.Millisecond, cancel)
			wantErr(t, what+" canceled", call(ctx), context.Canceled)
		}
	}
	wild["closing in an outage"] = func(t *testing.T, s store) {
		w := s.watch("a")
		alive, err := s.c.KeepAlive(t.Context(), s.grant(long))
		wantErr(t, "keeping", err, nil)
		<-alive
		s.Down()
		blocked := make(chan error)
		go func() { _, err := s.c.Get(t.Context(), "a"); blocked <- err }()
		late := make(chan clientv3.WatchChan)
		c := s.client()
		go func() { late <- c.Watch(t.Context(), "a") }()
		time.Sleep(100 * time.Millisecond) // most likely in the call by then
		_ = s.c.Close()
		same(t, "a blocked call fails as", clientv3.IsConnCanceled(<-blocked), true)
		for range w {
		}
		for range alive {
		}
		_ = c.Close()
		for r := range <-late { // clientv3 itself may give an error or nothing
			same(t, "a late watch is canceled", r.Canceled, true)
		}
	}
	wild["a watch across outages"] = func(t *testing.T, s store) {
		rev := s.put("a", "0")
		now, then := s.watch("a", clientv3.WithCreatedNotify()), s.watch("a", clientv3.WithRev(rev+1))
		other := s.watch("b", clientv3.WithRev(rev))
		s.next(now)
		for _, v := range []string{"1", "2"} {
			s.Down()
			s.up()
			s.put("a", v)
		}
		// clientv3 resumes a watch from now at the revision it began at.
		same(t, "a watch from now", s.show(s.events(now, 3)), "a=0 a=1 a=2")
		same(t, "a watch from a revision", s.show(s.events(then, 2)), "a=1 a=2")
		s.put("b", "1")
		same(t, "a watch of another key", s.show(s.events(other, 1)), "b=1")
	}
	wild["a lease that nobody keeps, in an outage"] = func(t *testing.T, s store) {
		s.put("a", "", clientv3.WithLease(s.grant(2)))
		s.Down()
		time.Sleep(2500 * time.Millisecond)
		s.up()
		s.one("a")
		back := time.Now()
		s.until("the end of the lease", func() bool { return s.get("a").Count == 0 })
		if took := time.Since(back); took < time.Second {
			t.Errorf("a lease of two seconds ended %v after an outage", took)
		}
	}
	wild["a lease that is kept, in an outage"] = func(t *testing.T, s store) {
		const ttl = 4 * time.Second
		id := s.grant(int64(ttl.Seconds()))
		s.put("a", "", clientv3.WithLease(id))
		alive, err := s.c.KeepAlive(t.Context(), id)
		wantErr(t, "keeping", err, nil)
		<-alive
		s.Down()
		s.up()
		for end := time.Now().Add(ttl + time.Second); time.Now().Before(end); {
			if r := <-alive; r == nil {
				t.Fatal("a lease is not kept after an outage shorter than it")
			}
		}
		s.one("a")
		s.Down()
		down := time.Now()
		for range alive { // until the client gives up
		}
		if took := time.Since(down); took < ttl/2 {
			t.Errorf("a lease of %v is given up after %v", ttl, took)
		}
		s.up()
		s.one("a")
	}
	wild["a restored backup"] = func(t *testing.T, s store) {
		lease := s.grant(long)
		saved := s.put("a", "saved", clientv3.WithLease(lease))
		restore := s.Save()
		s.c = s.client()
		s.delete("a")
		for range 4 {
			s.put("b", "")
		}
		head := s.one("b").ModRevision
		same(t, "the revision before", head, saved+5)
		w, next := s.watch("", clientv3.WithPrefix(), clientv3.WithRev(head)), s.watch("", clientv3.WithPrefix(), clientv3.WithRev(head+1))
		same(t, "the last event before", s.show(s.events(w, 1)), "b=")

		for range 2 {
			s.Down()
			restore()
			s.up()
			r := s.get("a")
			same(t, "the revision after", r.Header.Revision, saved)
			same(t, "the key after", line(string(r.Kvs[0].Value), r.Kvs[0].ModRevision, r.Kvs[0].Lease), line("saved", saved, lease))
			same(t, "the lease after", line(s.ttl(lease).GrantedTTL, len(s.ttl(lease).Keys)), line(long, 1))
			same(t, "the key that came later", s.get("b").Count, 0)
			s.put("b", "")
		}
		for range head - saved - 1 {
			s.put("silent", "")
		}
		s.put("loud", "")
		for _, w := range []clientv3.WatchChan{w, next} {
			r := s.next(w)
			same(t, "what an old watch hears first", line(s.show(r.Events), r.Err()), line("loud=", nil))
		}
	}
}
