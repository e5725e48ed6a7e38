package memory_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/etcd/memory"
)

var errDisk = errors.New("disk on fire")

// bubble runs what only this etcd can do, in a bubble.
func bubble(t *testing.T, f func(*testing.T, *memory.Etcd, store)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := memory.New()
		f(t, e, newStore(t, e))
	})
}

// quiet fails the test if there is something to hear.
func quiet(t *testing.T, what string, w clientv3.WatchChan) {
	t.Helper()
	synctest.Wait()
	select {
	case r, open := <-w:
		t.Errorf("%s: %+v, open %v; want silence", what, r, open)
	default:
	}
}

func TestCallsOutliveOutages(t *testing.T) {
	bubble(t, func(t *testing.T, e *memory.Etcd, s store) {
		e.Down()
		e.Down()
		errs, watches := make(chan error), make(chan clientv3.WatchChan)
		go func() { _, err := s.c.Put(t.Context(), "a", "1"); errs <- err }()
		go func() { watches <- s.c.Watch(t.Context(), "a", clientv3.WithRev(1)) }()
		time.Sleep(24 * time.Hour)
		e.Up()
		e.Up()
		wantErr(t, "a put", <-errs, nil)
		if ev := s.events(<-watches, 1)[0]; ev.Kv.ModRevision != 2 {
			t.Errorf("put at revision %d, want 2", ev.Kv.ModRevision)
		}
	})
}

func TestLeasesAreTimedExactly(t *testing.T) {
	bubble(t, func(t *testing.T, e *memory.Etcd, s store) {
		start := time.Now()
		rev := s.put("a", "", clientv3.WithLease(s.grant(10)))
		w := s.watch("a", clientv3.WithRev(rev+1))
		time.Sleep(4 * time.Second)
		e.Down()
		time.Sleep(time.Hour)
		quiet(t, "a lease in an outage", w)
		e.Up()
		s.next(w)
		same(t, "the end of a lease", time.Since(start), 4*time.Second+time.Hour+10*time.Second)

		id := s.grant(9)
		alive, err := s.c.KeepAlive(t.Context(), id)
		wantErr(t, "keeping", err, nil)
		last := time.Now()
		for i := range 20 {
			<-alive
			same(t, "time between answers", time.Since(last), time.Duration(min(i, 1))*3*time.Second)
			last = time.Now()
		}
		e.Down()
		_, open := <-alive
		same(t, "after no answer", open, false)
		same(t, "time without an answer", time.Since(last), 9*time.Second)
		first, err := s.c.KeepAlive(t.Context(), id)
		wantErr(t, "keeping in an outage", err, nil)
		last = time.Now()
		<-first
		same(t, "time without a first answer", time.Since(last), 5*time.Second)
	})
}

func TestRestoredLease(t *testing.T) {
	bubble(t, func(t *testing.T, e *memory.Etcd, s store) {
		rev := s.put("a", "", clientv3.WithLease(s.grant(10)))
		restore := e.Save()
		time.Sleep(4 * time.Second)
		restore()
		e.Up()
		start := time.Now()
		s.next(s.watch("a", clientv3.WithRev(rev+1)))
		same(t, "time to live after a restore", time.Since(start), 10*time.Second)
	})
}

func TestNobodyReadsKeepalives(t *testing.T) {
	bubble(t, func(t *testing.T, e *memory.Etcd, s store) {
		id := s.grant(1)
		if _, err := s.c.KeepAlive(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		same(t, "time to live", s.ttl(id).GrantedTTL, 1)
	})
}

func TestCut(t *testing.T) {
	bubble(t, func(t *testing.T, e *memory.Etcd, s store) {
		other := s.client()
		id := s.grant(10)
		s.put("a", "1", clientv3.WithLease(id))
		alive, err := s.c.KeepAlive(t.Context(), id)
		wantErr(t, "keeping", err, nil)
		cut, whole := s.watch("a"), other.Watch(t.Context(), s.key("a"))
		synctest.Wait()
		e.Cut(s.c)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = s.c.Get(ctx, "a")
		wantErr(t, "a get of the one cut off", err, context.DeadlineExceeded)
		_, err = other.Get(t.Context(), "a")
		wantErr(t, "a get of another", err, nil)
		for range alive { // until the client gives up
		}
		same(t, "the lease of the one cut off", s.show(s.events(whole, 1)), "-a")
		if _, err := other.Put(t.Context(), s.key("a"), "2"); err != nil {
			t.Fatal(err)
		}
		quiet(t, "a watch that is cut off", cut)
		e.Down()
		e.Mend(s.c)
		quiet(t, "a watch in an outage", cut)
		e.Up()
		e.Mend(s.c)
		same(t, "what the watch missed", s.show(s.events(cut, 3)), "a=1 -a a=2")
		fresh := other.Watch(t.Context(), s.key("a"))
		e.Cut(s.c)
		e.Mend(s.c)
		quiet(t, "a watch of another", fresh)
		e.Cut(s.c)
		e.Compact(s.events(whole, 1)[0].Kv.ModRevision)
		e.Mend(s.c)
		s.put("a", "3")
		same(t, "a watch beyond what is compacted", s.show(s.events(cut, 1)), "a=3")
		e.Cut(s.c)
		for _, v := range []string{"4", "5"} {
			if _, err := other.Put(t.Context(), s.key("a"), v); err != nil {
				t.Fatal(err)
			}
		}
		e.Compact(s.events(whole, 3)[2].Kv.ModRevision)
		e.Mend(s.c)
		r := s.next(cut)
		wantErr(t, "a watch that missed what is compacted", r.Err(), rpctypes.ErrCompacted)
	})
}

func TestFail(t *testing.T) {
	bubble(t, func(t *testing.T, e *memory.Etcd, s store) {
		id := s.grant(10)
		alive, err := s.c.KeepAlive(t.Context(), id)
		wantErr(t, "keeping", err, nil)
		<-alive
		far := s.client()
		w, remote := s.watch("a"), far.Watch(t.Context(), s.key("a"))
		e.Cut(far)
		e.Fail(errDisk)
		ended := func(what string, w clientv3.WatchChan, want string) {
			t.Helper()
			r := s.next(w)
			if err := r.Err(); !r.Canceled || err == nil || r.CancelReason != want {
				t.Errorf("%s: %+v, %v, want %s", what, r, err, want)
			}
			_, open := <-w
			same(t, what+" is open", open, false)
		}
		_, err = s.c.Get(t.Context(), "a")
		wantErr(t, "a get", err, errDisk)
		_, err = s.c.Grant(t.Context(), 1)
		wantErr(t, "a grant", err, errDisk)
		_, err = s.c.KeepAliveOnce(t.Context(), id)
		wantErr(t, "keeping once", err, errDisk)
		ended("a watch", w, errDisk.Error())
		ended("a new watch", s.watch("a"), errDisk.Error())
		quiet(t, "a watch from afar", remote)
		e.Mend(far)
		ended("a watch from afar", remote, errDisk.Error())
		e.Fail(rpctypes.ErrNoLeader)
		r := s.next(s.watch("a"))
		wantErr(t, "one of etcd's own", r.Err(), rpctypes.ErrNoLeader)
		time.Sleep(9 * time.Second)
		e.Fail(nil)
		if r := <-alive; r == nil {
			t.Error("a lease is not kept after trouble shorter than it")
		}
		e.Fail(errDisk)
		for range alive { // until the client gives up
		}
		e.Fail(nil)
		time.Sleep(time.Nanosecond) // both ends of it are at one instant, in any order
		same(t, "the lease after", s.ttl(id).TTL, -1)
	})
}

func TestCloseWaits(t *testing.T) {
	bubble(t, func(t *testing.T, e *memory.Etcd, s store) {
		w := s.watch("a")
		s.put("a", "1")
		alive, err := s.c.KeepAlive(t.Context(), s.grant(1))
		wantErr(t, "keeping", err, nil)
		same(t, "closing", s.c.Close(), context.Canceled)
		for what, n := range map[string]int{"events": drain(w), "answers": drain(alive)} {
			if n > 1 {
				t.Errorf("%d %s after the end", n, what)
			}
		}
	})
}

// drain counts what is in a channel, which must be closed, or returns a lot.
func drain[T any](c <-chan T) (n int) {
	for {
		select {
		case _, open := <-c:
			if !open {
				return n
			}
			n++
		default:
			return 1000
		}
	}
}

func TestUnsupported(t *testing.T) {
	bubble(t, func(t *testing.T, e *memory.Etcd, s store) {
		other := memory.New().Client()
		defer func() { _ = other.Close() }()
		for what, f := range map[string]func(){
			"a revision":  func() { s.get("a", clientv3.WithRev(1)) },
			"a stream":    func() { _, _ = s.c.GetStream(t.Context(), "a") },
			"nesting":     func() { s.do(clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpTxn(nil, nil, nil)}, nil)) },
			"progress":    func() { s.watch("a", clientv3.WithProgressNotify()) },
			"fragments":   func() { s.watch("a", clientv3.WithFragment()) },
			"a log":       func() { s.watch("a", clientv3.WithWatchBufLog()) },
			"a request":   func() { _ = s.c.RequestProgress(t.Context()) },
			"no range":    func() { s.watch("b", clientv3.WithRange("A")) },
			"compaction":  func() { e.Compact(100) },
			"another one": func() { e.Cut(other) },
		} {
			func() {
				defer func() { same(t, what+" panics", recover() != nil, true) }()
				f()
			}()
		}
		s.put("a", "") // nothing is left locked
	})
}
