package memory_test

import (
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func init() {
	tame["one revision for each write"] = func(t *testing.T, s store) {
		rev := s.get("a").Header.Revision
		next := func(what string, got int64) {
			t.Helper()
			rev++
			same(t, what, got, rev)
		}
		next("a put", s.put("a", "1"))
		next("a put of the same", s.put("a", "1"))
		next("a transaction of two puts and a delete", s.do(clientv3.OpTxn(nil, []clientv3.Op{
			clientv3.OpPut(s.key("b"), "1"), clientv3.OpPut(s.key("c"), "1"), clientv3.OpDelete(s.key("a")),
		}, nil)).Txn().Header.Revision)
		same(t, "a key put with another", s.one("b").CreateRevision, s.one("c").ModRevision)
		next("a delete", s.delete("b").Header.Revision)
		same(t, "deleting nothing", s.delete("b").Header.Revision, rev)
		same(t, "a transaction that reads", s.do(clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpGet(s.key("c"))}, nil)).Txn().Header.Revision, rev)
		same(t, "a transaction that deletes nothing", s.do(clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpDelete(s.key("b"))}, nil)).Txn().Header.Revision, rev)
		same(t, "a read", s.get("c").Header.Revision, rev)
	}
	wild["begins at revision 1"] = func(t *testing.T, s store) {
		same(t, "the revision", s.get("a").Header.Revision, 1)
		s.put("a", "")
		s.Wipe()
		s.Up()
		s.c = s.client()
		same(t, "the revision of nothing", s.get("a").Header.Revision, 1)
		same(t, "keys of nothing", s.get("a").Count, 0)
	}
	tame["what a key knows"] = func(t *testing.T, s store) {
		lease := s.grant(long)
		first := s.put("a", "1")
		second := s.put("a", "2", clientv3.WithLease(lease))
		kv := s.one("a")
		same(t, "key", line(string(kv.Value), kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease), line("2", first, second, 2, lease))
		s.delete("a")
		third := s.put("a", "")
		kv = s.one("a")
		same(t, "key put again", line(kv.Value == nil, kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease), line(true, third, third, 1, 0))
	}
	tame["options of a get"] = func(t *testing.T, s store) {
		// Sorted by key, create, mod, version and value, these differ.
		s.put("n/c", "3")
		s.put("n/b", "5")
		s.put("n/d", "2")
		s.put("n/a", "4")
		s.put("n/b", "1")
		last := s.put("n/c", "3")
		s.put("n/c", "3")
		s.put("o", "")
		prefix, desc := clientv3.WithPrefix(), clientv3.SortDescend
		for what, c := range map[string]struct {
			key  string
			opts []clientv3.OpOption
			want string
		}{
			"one":          {"n/a", nil, "n/a 1 false"},
			"none":         {"n/", nil, " 0 false"},
			"prefix":       {"n/", []clientv3.OpOption{prefix}, "n/a n/b n/c n/d 4 false"},
			"range":        {"n/b", []clientv3.OpOption{clientv3.WithRange(s.key("n/d"))}, "n/b n/c 2 false"},
			"empty range":  {"n/d", []clientv3.OpOption{clientv3.WithRange(s.key("n/b"))}, " 0 false"},
			"limit":        {"n/", []clientv3.OpOption{prefix, clientv3.WithLimit(3)}, "n/a n/b n/c 4 true"},
			"exact limit":  {"n/", []clientv3.OpOption{prefix, clientv3.WithLimit(4)}, "n/a n/b n/c n/d 4 false"},
			"by key":       {"n/", []clientv3.OpOption{prefix, clientv3.WithSort(clientv3.SortByKey, desc)}, "n/d n/c n/b n/a 4 false"},
			"by create":    {"n/", []clientv3.OpOption{prefix, clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortAscend)}, "n/c n/b n/d n/a 4 false"},
			"by mod":       {"n/", []clientv3.OpOption{prefix, clientv3.WithSort(clientv3.SortByModRevision, desc)}, "n/c n/b n/a n/d 4 false"},
			"by version":   {"n/", []clientv3.OpOption{prefix, clientv3.WithSort(clientv3.SortByVersion, desc), clientv3.WithLimit(2)}, "n/c n/b 4 true"},
			"by value":     {"n/", []clientv3.OpOption{prefix, clientv3.WithSort(clientv3.SortByValue, clientv3.SortNone)}, "n/b n/d n/c n/a 4 false"},
			"in no order":  {"n/", []clientv3.OpOption{prefix, clientv3.WithSort(clientv3.SortByValue, clientv3.SortNone), clientv3.WithLimit(2)}, "n/b n/c 4 true"},
			"first create": {"n/", clientv3.WithFirstCreate(), "n/c 4 true"},
			"last create":  {"n/", clientv3.WithLastCreate(), "n/a 4 true"},
			"first key":    {"n/", clientv3.WithFirstKey(), "n/a 4 true"},
			"last rev":     {"n/", clientv3.WithLastRev(), "n/c 4 true"},
			"max create":   {"n/", append(clientv3.WithLastCreate(), clientv3.WithMaxCreateRev(s.one("n/d").CreateRevision)), "n/d 4 true"},
			"min create":   {"n/", []clientv3.OpOption{prefix, clientv3.WithMinCreateRev(s.one("n/d").CreateRevision)}, "n/a n/d 4 false"},
			"max mod":      {"n/", []clientv3.OpOption{prefix, clientv3.WithMaxModRev(last)}, "n/a n/b n/d 4 false"},
			"min mod":      {"n/", []clientv3.OpOption{prefix, clientv3.WithMinModRev(last), clientv3.WithLimit(1)}, "n/c 4 false"},
			"count only":   {"n/", []clientv3.OpOption{prefix, clientv3.WithCountOnly()}, " 4 false"},
		} {
			r := s.get(c.key, c.opts...)
			same(t, what, line(s.names(r.Kvs), r.Count, r.More), c.want)
		}
		got := s.do(clientv3.OpGet(s.key("n/d"), clientv3.WithFromKey(), clientv3.WithLimit(2))).Get()
		same(t, "from a key", s.names(got.Kvs), "n/d o")
		_, err := s.c.Get(s.soon(), "")
		wantErr(t, "no key", err, rpctypes.ErrEmptyKey)
		same(t, "all keys", s.do(clientv3.OpGet("", clientv3.WithPrefix())).Get().Count >= 5, true)
	}
	tame["keys only"] = func(t *testing.T, s store) {
		s.put("a", "1", clientv3.WithLease(s.grant(long)))
		kv, full := s.get("a", clientv3.WithKeysOnly()).Kvs[0], s.one("a")
		same(t, "value", len(kv.Value), 0)
		same(t, "lease", kv.Lease, 0) // since etcd 3.7
		same(t, "revisions", line(kv.CreateRevision, kv.ModRevision, kv.Version), line(full.CreateRevision, full.ModRevision, full.Version))
		kv = s.get("a", clientv3.WithKeysOnly(), clientv3.WithSort(clientv3.SortByValue, clientv3.SortDescend)).Kvs[0]
		same(t, "lease by value", kv.Lease, full.Lease)
		same(t, "value by value", len(kv.Value), 0)
	}
	tame["options of a put"] = func(t *testing.T, s store) {
		lease := s.grant(long)
		s.put("a", "1", clientv3.WithLease(lease))
		s.put("a", "2", clientv3.WithIgnoreLease())
		same(t, "lease, ignored", s.one("a").Lease, lease)
		s.put("a", "", clientv3.WithIgnoreValue())
		same(t, "value, ignored", string(s.one("a").Value), "2")
		same(t, "lease, not given", s.one("a").Lease, 0)
		r := s.do(clientv3.OpPut(s.key("a"), "3", clientv3.WithPrevKV())).Put()
		same(t, "previous", string(r.PrevKv.Value), "2")
		same(t, "previous of none", s.do(clientv3.OpPut(s.key("b"), "", clientv3.WithPrevKV())).Put().PrevKv == nil, true)
		same(t, "previous, not asked for", s.do(clientv3.OpPut(s.key("a"), "")).Put().PrevKv == nil, true)
		rev := s.get("a").Header.Revision
		for what, c := range map[string]struct {
			op   clientv3.Op
			want error
		}{
			"no key":              {clientv3.OpPut("", ""), rpctypes.ErrEmptyKey},
			"unknown lease":       {clientv3.OpPut(s.key("a"), "", clientv3.WithLease(1<<60)), rpctypes.ErrLeaseNotFound},
			"lease of none":       {clientv3.OpPut(s.key("none"), "", clientv3.WithIgnoreLease()), rpctypes.ErrKeyNotFound},
			"value of none":       {clientv3.OpPut(s.key("none"), "", clientv3.WithIgnoreValue()), rpctypes.ErrKeyNotFound},
			"lease, both ways":    {clientv3.OpPut(s.key("a"), "", clientv3.WithIgnoreLease(), clientv3.WithLease(lease)), rpctypes.ErrLeaseProvided},
			"value, both ways":    {clientv3.OpPut(s.key("a"), "1", clientv3.WithIgnoreValue()), rpctypes.ErrValueProvided},
			"delete of no key":    {clientv3.OpDelete(""), rpctypes.ErrEmptyKey},
			"comparing no key":    {clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.Version(""), "=", 0)}, nil, nil), rpctypes.ErrEmptyKey},
			"a mistake not made":  {clientv3.OpTxn(nil, nil, []clientv3.Op{clientv3.OpPut("", "")}), rpctypes.ErrEmptyKey},
			"one put of two good": {clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpPut(s.key("a"), "x"), clientv3.OpPut(s.key("b"), "", clientv3.WithLease(1<<60))}, nil), rpctypes.ErrLeaseNotFound},
		} {
			_, err := s.c.Do(s.soon(), c.op)
			wantErr(t, what, err, c.want)
		}
		same(t, "revision after errors", s.get("a").Header.Revision, rev)
	}
	tame["deletes"] = func(t *testing.T, s store) {
		for _, k := range []string{"n/a", "n/b", "n/c", "n/d", "o"} {
			s.put(k, k)
		}
		r := s.delete("n/b", clientv3.WithRange(s.key("n/d")), clientv3.WithPrevKV())
		same(t, "deleted", line(r.Deleted, s.names(r.PrevKvs)), "2 n/b n/c")
		r = s.delete("n/", clientv3.WithPrefix())
		same(t, "deleted by prefix", line(r.Deleted, s.names(r.PrevKvs)), "2 ")
		same(t, "deleted again", s.delete("n/", clientv3.WithPrefix()).Deleted, 0)
		same(t, "left", s.names(s.get("", clientv3.WithPrefix()).Kvs), "o")
	}
	tame["memory is nobody else's"] = func(t *testing.T, s store) {
		s.put("a", "value")
		w := s.watch("a")
		a, b := s.one("a"), s.watch("a")
		clear(a.Value)
		clear(a.Key)
		same(t, "value", string(s.one("a").Value), "value")
		s.put("a", "other")
		for _, w := range []clientv3.WatchChan{w, b} {
			ev := s.events(w, 1)[0]
			same(t, "event", string(ev.Kv.Value), "other")
			clear(ev.Kv.Value)
		}
		same(t, "value", string(s.one("a").Value), "other")
	}
}
