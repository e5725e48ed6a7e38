package memory

import (
	"bytes"
	"maps"
	"slices"
	"sort"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// data is what an etcd has on disk. The key-values and events that it points to
// are never changed, nor handed out.
type data struct {
	rev       int64
	compacted int64
	keys      map[string]*mvccpb.KeyValue
	log       []*mvccpb.Event // in order, with what was there before; none from before compacted
	leases    map[int64]*lease
}

func empty() data {
	return data{rev: 1, keys: map[string]*mvccpb.KeyValue{}, leases: map[int64]*lease{}}
}

// clone returns a copy whose leases do not run.
func (d *data) clone() data {
	c := *d
	c.keys, c.log, c.leases = maps.Clone(d.keys), slices.Clone(d.log), map[int64]*lease{}
	for id, l := range d.leases {
		c.leases[id] = &lease{ttl: l.ttl}
	}
	return c
}

// since returns the events from a revision on.
func (d *data) since(rev int64) []*mvccpb.Event {
	i := sort.Search(len(d.log), func(i int) bool { return d.log[i].Kv.ModRevision >= rev })
	return d.log[i:]
}

// find returns the key-values in a range as etcd writes ranges, by key.
func (d *data) find(key, end []byte) []*mvccpb.KeyValue {
	if len(end) == 0 {
		if kv := d.keys[string(key)]; kv != nil {
			return []*mvccpb.KeyValue{kv}
		}
		return nil
	}
	return d.list(func(kv *mvccpb.KeyValue) bool { return within(kv.Key, key, end) })
}

func (d *data) list(ok func(*mvccpb.KeyValue) bool) []*mvccpb.KeyValue {
	var kvs []*mvccpb.KeyValue
	for _, kv := range d.keys {
		if ok(kv) {
			kvs = append(kvs, kv)
		}
	}
	slices.SortFunc(kvs, func(a, b *mvccpb.KeyValue) int { return bytes.Compare(a.Key, b.Key) })
	return kvs
}

func within(k, key, end []byte) bool {
	switch {
	case len(end) == 0:
		return bytes.Equal(k, key)
	case bytes.Equal(end, []byte{0}):
		return bytes.Compare(k, key) >= 0
	default:
		return bytes.Compare(k, key) >= 0 && bytes.Compare(k, end) < 0
	}
}

// copyOf also drops the difference between no bytes and nil, as the wire does.
func copyOf(kv *mvccpb.KeyValue) *mvccpb.KeyValue {
	if kv == nil {
		return nil
	}
	return &mvccpb.KeyValue{
		Key: copyBytes(kv.Key), Value: copyBytes(kv.Value), Lease: kv.Lease,
		CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Version: kv.Version,
	}
}

func copyBytes(b []byte) []byte { return append([]byte(nil), b...) }

// tx is a transaction. It makes one revision, or none if it changes nothing.
type tx struct {
	e       *Etcd
	changes []*mvccpb.Event
}

// rev is the revision that the transaction reads at: its own once it has one.
func (t *tx) rev() int64 {
	if len(t.changes) > 0 {
		return t.e.rev + 1
	}
	return t.e.rev
}

func (t *tx) write(key, value []byte, lease int64) {
	old := t.e.keys[string(key)]
	kv := &mvccpb.KeyValue{
		Key: copyBytes(key), Value: copyBytes(value), Lease: lease,
		CreateRevision: t.e.rev + 1, ModRevision: t.e.rev + 1, Version: 1,
	}
	if old != nil {
		kv.CreateRevision, kv.Version = old.CreateRevision, old.Version+1
	}
	t.e.keys[string(key)] = kv
	t.changes = append(t.changes, &mvccpb.Event{Type: mvccpb.Event_PUT, Kv: kv, PrevKv: old})
}

func (t *tx) remove(kvs []*mvccpb.KeyValue) {
	for _, kv := range kvs {
		delete(t.e.keys, string(kv.Key))
		gone := &mvccpb.KeyValue{Key: kv.Key, ModRevision: t.e.rev + 1}
		t.changes = append(t.changes, &mvccpb.Event{Type: mvccpb.Event_DELETE, Kv: gone, PrevKv: kv})
	}
}

func (t *tx) commit() {
	t.e.rev = t.rev()
	t.e.log = append(t.e.log, t.changes...)
	for w := range t.e.watches {
		if w.reaches() {
			w.feed(t.changes)
		}
	}
}
