package memory_test

import (
	"strconv"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func init() {
	tame["comparisons"] = func(t *testing.T, s store) {
		lease := s.grant(long)
		rev := s.put("a", "m", clientv3.WithLease(lease))
		s.put("n/1", "m")
		s.put("n/2", "m")
		s.put("n/2", "n")
		value, version := clientv3.Value(s.key("a")), clientv3.Version(s.key("a"))
		none, all, empty := s.key("none"), s.key("n/"), s.key("empty/")
		for what, c := range map[string]struct {
			cmp  clientv3.Cmp
			want bool
		}{
			"value =":                   {clientv3.Compare(value, "=", "m"), true},
			"value !=":                  {clientv3.Compare(value, "!=", "m"), false},
			"value <":                   {clientv3.Compare(value, "<", "n"), true},
			"value >":                   {clientv3.Compare(value, ">", "n"), false},
			"version":                   {clientv3.Compare(version, "=", 1), true},
			"version <":                 {clientv3.Compare(version, "<", 1), false},
			"create":                    {clientv3.Compare(clientv3.CreateRevision(s.key("a")), "=", rev), true},
			"mod >":                     {clientv3.Compare(clientv3.ModRevision(s.key("a")), ">", rev), false},
			"lease":                     {clientv3.Compare(clientv3.LeaseValue(s.key("a")), "=", lease), true},
			"no lease":                  {clientv3.Compare(clientv3.LeaseValue(s.key("n/1")), "=", clientv3.NoLease), true},
			"version of none":           {clientv3.Compare(clientv3.Version(none), "=", 0), true},
			"create of none":            {clientv3.Compare(clientv3.CreateRevision(none), "=", 0), true},
			"mod of none":               {clientv3.Compare(clientv3.ModRevision(none), "!=", 0), false},
			"lease of none":             {clientv3.Compare(clientv3.LeaseValue(none), "=", 0), true},
			"value of none":             {clientv3.Compare(clientv3.Value(none), "=", ""), false},
			"value of none, not":        {clientv3.Compare(clientv3.Value(none), "!=", "x"), false},
			"every version":             {clientv3.Compare(clientv3.Version(all), ">", 0).WithPrefix(), true},
			"every version, but one":    {clientv3.Compare(clientv3.Version(all), "=", 1).WithPrefix(), false},
			"every value, but one":      {clientv3.Compare(clientv3.Value(all), "!=", "n").WithPrefix(), false},
			"every version in a range":  {clientv3.Compare(clientv3.Version(all), "=", 1).WithRange(s.key("n/2")), true},
			"no version in a range":     {clientv3.Compare(clientv3.Version(empty), "=", 0).WithPrefix(), true},
			"no mod in a range":         {clientv3.Compare(clientv3.ModRevision(empty), ">", 0).WithPrefix(), false},
			"no value in a range":       {clientv3.Compare(clientv3.Value(empty), "=", "").WithPrefix(), false},
			"another value in no range": {clientv3.Compare(clientv3.Value(empty), "!=", "x").WithPrefix(), false},
		} {
			r := s.do(clientv3.OpTxn([]clientv3.Cmp{c.cmp}, nil, nil)).Txn()
			same(t, what, r.Succeeded, c.want)
		}
		yes, no := clientv3.Compare(version, "=", 1), clientv3.Compare(version, "=", 2)
		same(t, "one of two", s.do(clientv3.OpTxn([]clientv3.Cmp{yes, no}, nil, nil)).Txn().Succeeded, false)
		same(t, "two of two", s.do(clientv3.OpTxn([]clientv3.Cmp{yes, yes}, nil, nil)).Txn().Succeeded, true)
	}
	tame["then and else"] = func(t *testing.T, s store) {
		a := s.key("a")
		for i, want := range []string{"true 1", "false 2", "false 3"} {
			r, err := s.c.Txn(s.soon()).If(clientv3.Compare(clientv3.CreateRevision(a), "=", 0)).
				Then(clientv3.OpPut(a, "new"), clientv3.OpGet(a)).
				Else(clientv3.OpPut(a, strconv.Itoa(i)), clientv3.OpGet(a), clientv3.OpDelete(s.key("none"))).Commit()
			if err != nil {
				t.Fatal(err)
			}
			// What is read after a write of the same transaction is what was written.
			kv := r.Responses[1].GetResponseRange().Kvs[0]
			same(t, "transaction", line(r.Succeeded, kv.Version), want)
			same(t, "its revisions", line(kv.ModRevision, r.Responses[0].GetResponsePut().Header.Revision, r.Responses[1].GetResponseRange().Header.Revision),
				line(r.Header.Revision, r.Header.Revision, r.Header.Revision))
			if !r.Succeeded {
				d := r.Responses[2].GetResponseDeleteRange()
				same(t, "a delete of nothing", line(d.Deleted, d.Header.Revision), line(0, r.Header.Revision))
			}
		}
	}
	tame["a key twice"] = func(t *testing.T, s store) {
		put, del := clientv3.OpPut(s.key("a"), ""), clientv3.OpDelete(s.key("a"))
		all := clientv3.OpDelete(s.prefix, clientv3.WithPrefix())
		s.put("a", "")
		for what, c := range map[string]struct {
			then, otherwise []clientv3.Op
			want            error
		}{
			"two puts":             {[]clientv3.Op{put, put}, nil, rpctypes.ErrDuplicateKey},
			"two puts, not taken":  {nil, []clientv3.Op{put, put}, rpctypes.ErrDuplicateKey},
			"a put, a delete":      {[]clientv3.Op{put, del}, nil, rpctypes.ErrDuplicateKey},
			"a delete, a put":      {[]clientv3.Op{del, put}, nil, rpctypes.ErrDuplicateKey},
			"a delete of a prefix": {[]clientv3.Op{put, all}, nil, rpctypes.ErrDuplicateKey},
			"a put on each side":   {[]clientv3.Op{put}, []clientv3.Op{put}, nil},
			"a put, a read":        {[]clientv3.Op{put, clientv3.OpGet(s.key("a"))}, nil, nil},
			"two deletes":          {[]clientv3.Op{del, all}, nil, nil},
			"128 operations":       {many(s, 128), nil, nil},
			"129 operations":       {many(s, 129), nil, rpctypes.ErrTooManyOps},
		} {
			_, err := s.c.Txn(s.soon()).Then(c.then...).Else(c.otherwise...).Commit()
			wantErr(t, what, err, c.want)
		}
	}
}

func many(s store, n int) (ops []clientv3.Op) {
	for i := range n {
		ops = append(ops, clientv3.OpPut(s.key("many/"+strconv.Itoa(i)), ""))
	}
	return ops
}
