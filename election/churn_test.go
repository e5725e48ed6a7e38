package election_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	fenced   = "/test/fenced"
	unfenced = "/test/unfenced"
)

// Leaders come and go in every way, and each of them goes on writing after its
// term until it has seen its successor write. With the fence, etcd's history is
// one term after another.
func TestOneLeaderAtATimeUnderChurn(t *testing.T) {
	w := newWorld(t)
	nodes := map[string]*node{}
	add := func() {
		id := fmt.Sprintf("n%d", len(nodes))
		// A second is the least that etcd keeps. On a busy machine some
		// lose their lease for no other reason, which is welcome here.
		nodes[id] = w.run(w.client(), id, time.Second, func(n *node, t term) error { return overstay(n, t, id) })
	}
	for range 5 {
		add()
	}

	const rounds = 12
	var last int64
	for round := range rounds {
		var id string
		poll(t, "a new leader's write", func() bool {
			term, who := w.lastWrite()
			if term > last {
				last, id = term, who
			}
			return id != ""
		})
		switch kv, n := w.key(id), nodes[id]; {
		case kv == nil: // it lost its lease meanwhile
		case round%4 == 0:
			w.remove(string(kv.Key))
		case round%4 == 1:
			// It may have expired, and Run knows how to live with that.
			_, _ = w.admin.Revoke(t.Context(), clientv3.LeaseID(kv.Lease))
		case round%4 == 2: // dies without a word
			_ = n.client.Close()
			n.stop(t)
			add()
		default:
			n.stop(t)
			add()
		}
	}
	for _, n := range nodes {
		n.cancel(errStop)
	}
	for _, n := range nodes {
		n.stop(t)
	}

	terms := w.history(fenced)
	if !slices.IsSorted(terms) {
		t.Errorf("terms of the fenced writes, in etcd's order, go back: %v", slices.Compact(terms))
	}
	if n := len(slices.Compact(slices.Clone(terms))); n < rounds {
		t.Errorf("%d terms wrote, want at least %d", n, rounds)
	}
	if slices.IsSorted(w.history(unfenced)) {
		t.Error("control: no leader outstayed its term, so the fence was not needed")
	}
}

// overstay writes with and without the fence until the fence is refused. It
// does not look at its term's context, as a process that was stopped meanwhile
// would not, and tries once more after its successor's first write.
func overstay(n *node, t term, id string) error {
	value := fmt.Sprint(t.Number(), " ", id)
	for deposed := false; ; time.Sleep(time.Millisecond) {
		if !deposed {
			if _, err := n.client.Put(n.ctx, unfenced, value); err != nil {
				return err
			}
		}
		r, err := n.client.Txn(n.ctx).If(t.Fence()).Then(clientv3.OpPut(fenced, value)).Else(clientv3.OpGet(fenced)).Commit()
		if err != nil {
			return err
		}
		if r.Succeeded {
			continue
		}
		deposed = true
		kvs := r.Responses[0].GetResponseRange().Kvs
		if len(kvs) > 0 && parse(kvs[0].Value) > t.Number() {
			_, err := n.client.Put(n.ctx, unfenced, value)
			return cmp.Or(err, errors.New("succeeded"))
		}
	}
}

func parse(value []byte) (term int64) {
	_, _ = fmt.Sscan(string(value), &term)
	return term
}

func (w world) lastWrite() (term int64, id string) {
	w.Helper()
	r, err := w.admin.Get(w.Context(), fenced)
	if err != nil {
		w.Fatal(err)
	}
	if len(r.Kvs) > 0 {
		_, _ = fmt.Sscan(string(r.Kvs[0].Value), &term, &id)
	}
	return term, id
}

// history returns the terms of all that was written to a key, in etcd's order.
func (w world) history(key string) (terms []int64) {
	w.Helper()
	r, err := w.admin.Get(w.Context(), key)
	if err != nil || len(r.Kvs) == 0 {
		w.Fatalf("%s: %v", key, err)
	}
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	for h := range w.admin.Watch(ctx, key, clientv3.WithRev(1)) {
		for _, e := range h.Events {
			terms = append(terms, parse(e.Kv.Value))
		}
		if int64(len(terms)) == r.Kvs[0].Version {
			return terms
		}
	}
	w.Fatalf("%s: etcd told of %d writes, want %d", key, len(terms), r.Kvs[0].Version)
	return nil
}
