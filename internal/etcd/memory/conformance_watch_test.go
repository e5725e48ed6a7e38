package memory_test

import (
	"context"
	"fmt"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func init() {
	tame["a watch from now"] = func(t *testing.T, s store) {
		s.put("a", "0")
		w := s.watch("a")
		rev := s.put("a", "1")
		s.put("b", "1")
		s.delete("a")
		evs := s.events(w, 2)
		same(t, "events", s.show(evs), "a=1 -a")
		kv := evs[0].Kv
		same(t, "put", line(kv.ModRevision, kv.CreateRevision, kv.Version), line(rev, rev-1, 2))
		kv = evs[1].Kv
		same(t, "delete", line(kv.ModRevision, kv.CreateRevision, kv.Version, len(kv.Value)), line(rev+2, 0, 0, 0))
	}
	tame["a watch from a revision"] = func(t *testing.T, s store) {
		first := s.put("n/a", "1")
		s.put("n/b", "1")
		s.put("o", "1")
		s.delete("n/a")
		old := s.watch("n/", clientv3.WithPrefix(), clientv3.WithRev(first+1))
		future := s.watch("n/", clientv3.WithPrefix(), clientv3.WithRev(first+5))
		s.put("n/c", "1")
		s.put("n/d", "1")
		same(t, "old events", s.show(s.events(old, 4)), "n/b=1 -n/a n/c=1 n/d=1")
		same(t, "future events", s.show(s.events(future, 1)), "n/d=1")
	}
	tame["what a watch covers"] = func(t *testing.T, s store) {
		rev := clientv3.WithRev(s.put("0", "") + 1)
		for _, k := range []string{"a", "b", "b/c", "c"} {
			s.put(k, "1")
		}
		s.put("b", "2")
		s.delete("b")
		end := s.put("~", "")
		for what, c := range map[string]struct {
			key  string
			opts []clientv3.OpOption
			want string
		}{
			"key":        {"b", nil, "b=1 b=2 -b"},
			"prefix":     {"b", []clientv3.OpOption{clientv3.WithPrefix()}, "b=1 b/c=1 b=2 -b"},
			"range":      {"b", []clientv3.OpOption{clientv3.WithRange(s.key("c"))}, "b=1 b/c=1 b=2 -b"},
			"puts":       {"b", []clientv3.OpOption{clientv3.WithFilterDelete()}, "b=1 b=2"},
			"deletes":    {"b", []clientv3.OpOption{clientv3.WithFilterPut()}, "-b"},
			"previous":   {"b", []clientv3.OpOption{clientv3.WithPrevKV()}, "b=1 b=2<1 -b<2"},
			"end of all": {"~", nil, "~="},
		} {
			w := s.watch(c.key, append(c.opts, rev)...)
			var evs []*clientv3.Event
			for got := int64(0); got < end && s.show(evs) != c.want; got = evs[len(evs)-1].Kv.ModRevision {
				evs = append(evs, s.events(w, 1)...)
			}
			same(t, what, s.show(evs), c.want)
		}
		from := s.watch("c", clientv3.WithFromKey(), rev, clientv3.WithFilterDelete())
		same(t, "from a key", s.show(s.events(from, 2)), "c=1 ~=")
	}
	tame["responses of a watch"] = func(t *testing.T, s store) {
		rev := s.put("a", "0")
		w := s.watch("", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
		r := s.next(w)
		same(t, "created", line(r.Created, r.Header.Revision, len(r.Events)), line(true, rev, 0))
		s.do(clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpPut(s.key("a"), "1"), clientv3.OpPut(s.key("b"), "1"), clientv3.OpDelete(s.key("none"))}, nil))
		r = s.next(w)
		same(t, "a transaction", line(s.show(r.Events), r.Header.Revision), line("a=1 b=1", rev+1))
		s.put("a", "2")
		r = s.next(w)
		same(t, "a put", line(s.show(r.Events), r.Header.Revision, r.Created, r.Canceled, r.Err()), line("a=2", rev+2, false, false, nil))
	}
	tame["the end of a watch"] = func(t *testing.T, s store) {
		ctx, cancel := context.WithCancel(t.Context())
		w := s.c.Watch(ctx, s.key("a"))
		other := s.watch("a")
		cancel()
		r, open := <-w
		same(t, "a watch without context", line(open, r.Canceled, r.Err()), line(false, false, nil))
		s.put("a", "1")
		same(t, "another watch", s.show(s.events(other, 1)), "a=1")
		_, open = <-s.c.Watch(ctx, s.key("a"))
		same(t, "a watch after its context", open, false)

		_ = s.c.Close()
		for r := range other { // clientv3 itself may give an error or nothing
			same(t, "a watch after its client is canceled", r.Canceled, true)
		}
		_, open = <-s.watch("a")
		same(t, "a new watch after its client", open, false)
		_, err := s.c.Get(t.Context(), "a")
		same(t, "a get after its client fails as", clientv3.IsConnCanceled(err), true)
	}
	tame["a slow reader"] = func(t *testing.T, s store) {
		w := s.watch("", clientv3.WithPrefix())
		const n = 2000
		for i := range n {
			s.put("a", fmt.Sprint(i))
		}
		for i, ev := range s.events(w, n) {
			if string(ev.Kv.Value) != fmt.Sprint(i) {
				t.Fatalf("event %d is of put %s", i, ev.Kv.Value)
			}
		}
	}
	wild["compaction"] = func(t *testing.T, s store) {
		for i := range 5 {
			s.put("a", fmt.Sprint(i)) // at revisions 2 to 6
		}
		live := s.watch("b")
		if _, err := s.c.Compact(s.soon(), 4); err != nil {
			t.Fatal(err)
		}
		w := s.watch("a", clientv3.WithRev(3))
		r := s.next(w)
		same(t, "what a watch from before gets", line(r.CompactRevision, r.Canceled, r.Created, len(r.Events)), line(4, true, false, 0))
		wantErr(t, "a watch from before", r.Err(), rpctypes.ErrCompacted)
		_, open := <-w
		same(t, "it is open", open, false)
		same(t, "a watch from there", s.show(s.events(s.watch("a", clientv3.WithRev(4), clientv3.WithPrevKV()), 3)), "a=2 a=3<2 a=4<3")
		_, err := s.c.Compact(s.soon(), 4)
		wantErr(t, "compacting again", err, rpctypes.ErrCompacted)
		_, err = s.c.Compact(s.soon(), 7)
		wantErr(t, "compacting what is to come", err, rpctypes.ErrFutureRev)
		s.put("b", "1")
		if _, err := s.c.Compact(s.soon(), 7); err != nil {
			t.Fatal(err)
		}
		s.put("b", "2")
		same(t, "a watch that was there", s.show(s.events(live, 2)), "b=1 b=2")
		same(t, "a key from before", string(s.one("a").Value), "4")
	}
}
