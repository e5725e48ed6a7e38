package memory_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/etcd/etcdtest"
	"github.com/stekring/stekring/internal/etcd/memory"
)

// walk does random things to an etcd, the same to every etcd of one seed.
type walk struct {
	store
	*rand.Rand
	leases  []clientv3.LeaseID // whose numbers differ between etcds
	rev     int64
	watches map[string]clientv3.WatchChan
}

var seedFlag = flag.Uint64("seed", 0, "of TestRandom, to do again what it did")

// TestRandom has an etcd and this one do the same, and compares all they say.
func TestRandom(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if *seedFlag != 0 {
		seed = *seedFlag
	}
	t.Logf("-seed %d", seed)
	var walks []*walk
	for _, e := range []server{etcdtest.Start(t), memory.New()} {
		w := &walk{store: newStore(t, e), Rand: rand.New(rand.NewPCG(seed, 0)), watches: map[string]clientv3.WatchChan{}}
		w.prefix = "k/"
		walks = append(walks, w)
	}
	for i := range 1500 {
		what, want := walks[0].step(i)
		if _, got := walks[1].step(i); got != want {
			t.Fatalf("step %d, %s:\n got %s\nwant %s", i, what, got, want)
		}
	}
	walks[0].finish()
	walks[1].finish()
	for what := range walks[0].watches {
		want := walks[0].heard(what)
		if got := walks[1].heard(what); got != want {
			i := 0
			for i < min(len(got), len(want)) && got[i] == want[i] {
				i++
			}
			t.Fatalf("%s, after %d bytes:\n got %.200q\nwant %.200q", what, i, got[i:], want[i:])
		}
	}
}

// step returns what it did and how that was answered.
func (w *walk) step(i int) (what, got string) {
	var op clientv3.Op
	switch n := w.IntN(100); {
	case n < 5:
		w.leases = append(w.leases, w.grant(int64(600+w.IntN(600))))
		return "grant", ""
	case n < 7 && len(w.leases) > 0:
		r, err := w.c.Revoke(w.soon(), w.leases[w.IntN(len(w.leases))])
		if err != nil {
			return "revoke", err.Error()
		}
		w.rev = r.Header.Revision
		return "revoke", fmt.Sprint(w.rev)
	case n < 8 && i < 500: // a watch from before hears of it or not, by luck
		_, err := w.c.Compact(w.soon(), max(1, w.rev-w.Int64N(20)))
		return "compact", fmt.Sprint(err)
	case n < 11 && i >= 500:
		opts := w.some(clientv3.WithRev(max(0, w.rev+20-w.Int64N(60))), clientv3.WithFilterPut(), clientv3.WithPrevKV())
		opts = append(opts, w.ends()...)
		what = fmt.Sprint("watch ", i)
		w.watches[what] = w.c.Watch(w.t.Context(), w.key(w.name()), append(opts, clientv3.WithCreatedNotify())...)
		return what, fmt.Sprint(w.next(w.watches[what]).Created)
	case n < 40:
		var cmps []clientv3.Cmp
		for range w.IntN(3) {
			cmps = append(cmps, w.comparison())
		}
		op = clientv3.OpTxn(cmps, w.ops(), w.ops())
	default:
		op = w.op()
	}
	what = fmt.Sprintf("%+v", op)
	r, err := w.c.Do(w.soon(), op)
	if err != nil {
		return what, err.Error()
	}
	switch {
	case r.Put() != nil:
		return what, w.putSaid((*etcdserverpb.PutResponse)(r.Put()))
	case r.Get() != nil:
		return what, w.getSaid((*etcdserverpb.RangeResponse)(r.Get()))
	case r.Del() != nil:
		return what, w.deleteSaid((*etcdserverpb.DeleteRangeResponse)(r.Del()))
	}
	var b strings.Builder
	fmt.Fprint(&b, r.Txn().Succeeded, r.Txn().Header.Revision)
	for _, r := range r.Txn().Responses {
		switch {
		case r.GetResponsePut() != nil:
			b.WriteString(w.putSaid(r.GetResponsePut()))
		case r.GetResponseRange() != nil:
			b.WriteString(w.getSaid(r.GetResponseRange()))
		default:
			b.WriteString(w.deleteSaid(r.GetResponseDeleteRange()))
		}
	}
	return what, b.String()
}

func (w *walk) putSaid(r *etcdserverpb.PutResponse) string {
	w.rev = r.Header.Revision
	return fmt.Sprint("\nput ", w.rev, w.said(r.PrevKv))
}

func (w *walk) getSaid(r *etcdserverpb.RangeResponse) string {
	w.rev = r.Header.Revision
	return fmt.Sprint("\ngot ", w.rev, r.Count, r.More, w.said(r.Kvs...))
}

func (w *walk) deleteSaid(r *etcdserverpb.DeleteRangeResponse) string {
	w.rev = r.Header.Revision
	return fmt.Sprint("\ndeleted ", w.rev, r.Deleted, w.said(r.PrevKvs...))
}

func (w *walk) said(kvs ...*mvccpb.KeyValue) (s string) {
	for _, kv := range kvs {
		if kv != nil {
			lease := slices.Index(w.leases, clientv3.LeaseID(kv.Lease))
			s += fmt.Sprintf("\n\t%s=%q create %d mod %d version %d lease %d", kv.Key, kv.Value, kv.CreateRevision, kv.ModRevision, kv.Version, lease)
		}
	}
	return s
}

// finish makes events that every watch sees, those of revisions to come too.
func (w *walk) finish() {
	w.rev = w.get("").Header.Revision
	for range 30 {
		w.do(clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpPut("k/a", ""), clientv3.OpPut("k/b", ""), clientv3.OpPut("k/c", "")}, nil))
		w.do(clientv3.OpDelete("k/", clientv3.WithPrefix()))
	}
}

// heard is all that a watch has had before or early in finish.
func (w *walk) heard(what string) (s string) {
	for {
		r := w.next(w.watches[what])
		if r.Header == nil || r.Err() != nil {
			return s + fmt.Sprint("\nended ", r.CompactRevision, r.Err())
		}
		for _, ev := range r.Events {
			if ev.Kv.ModRevision > w.rev+25 {
				return s
			}
			s += "\n" + ev.Type.String() + w.said(ev.Kv, ev.PrevKv)
		}
	}
}

func (w *walk) name() string { return string("aabc"[w.IntN(4)]) }

// some returns each option or not.
func (w *walk) some(opts ...clientv3.OpOption) (s []clientv3.OpOption) {
	for _, o := range opts {
		if w.IntN(3) == 0 {
			s = append(s, o)
		}
	}
	return s
}

// ends makes a range of a key that holds "k/a" or is below it, or none.
func (w *walk) ends() []clientv3.OpOption {
	return [][]clientv3.OpOption{nil, {clientv3.WithFromKey()}, {clientv3.WithPrefix()}, {clientv3.WithRange("k/d")}}[w.IntN(4)]
}

func (w *walk) lease() clientv3.LeaseID {
	if len(w.leases) == 0 || w.IntN(10) == 0 {
		return 12345
	}
	return w.leases[w.IntN(len(w.leases))]
}

func (w *walk) ops() (ops []clientv3.Op) {
	for len(ops) < w.IntN(4) {
		// etcd does not see that a put is within a delete without an end.
		if op := w.op(); !op.IsDelete() || string(op.RangeBytes()) != "\x00" {
			ops = append(ops, op)
		}
	}
	return ops
}

func (w *walk) op() clientv3.Op {
	k := w.key(w.name())
	switch n := w.IntN(10); {
	case n < 4:
		v := strings.Repeat("x", w.IntN(3))
		opts := w.some(clientv3.WithLease(w.lease()), clientv3.WithIgnoreValue(), clientv3.WithIgnoreLease(), clientv3.WithPrevKV())
		return clientv3.OpPut(k, v, opts...)
	case n < 8:
		sort := clientv3.WithSort(clientv3.SortTarget(w.IntN(5)), clientv3.SortOrder(w.IntN(3)))
		near := max(0, w.rev-w.Int64N(20))
		return clientv3.OpGet(k, append(w.ends(), w.some(sort, clientv3.WithLimit(w.Int64N(4)), clientv3.WithKeysOnly(), clientv3.WithCountOnly(),
			clientv3.WithMinModRev(near), clientv3.WithMaxModRev(near+5), clientv3.WithMinCreateRev(near), clientv3.WithMaxCreateRev(near+5))...)...)
	default:
		return clientv3.OpDelete(k, append(w.ends(), w.some(clientv3.WithPrevKV())...)...)
	}
}

func (w *walk) comparison() clientv3.Cmp {
	k, how := w.key(w.name()), []string{"=", "!=", "<", ">"}[w.IntN(4)]
	near := max(0, w.rev-w.Int64N(10))
	c := []clientv3.Cmp{
		clientv3.Compare(clientv3.Value(k), how, strings.Repeat("x", w.IntN(3))),
		clientv3.Compare(clientv3.Version(k), how, w.Int64N(3)),
		clientv3.Compare(clientv3.CreateRevision(k), how, near),
		clientv3.Compare(clientv3.ModRevision(k), how, near),
		clientv3.Compare(clientv3.LeaseValue(k), how, 0),
	}[w.IntN(5)]
	return []clientv3.Cmp{c, c.WithPrefix(), c.WithRange("k/d")}[w.IntN(3)]
}
