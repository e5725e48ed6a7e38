package etcdtest

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Commit makes a transaction, as often as it is called.
type Commit func() (*clientv3.TxnResponse, error)

// Commits returns kv with f in the place of every transaction's commit. Then is
// what the transaction does if its comparisons hold.
func Commits(kv clientv3.KV, f func(then []clientv3.Op, commit Commit) (*clientv3.TxnResponse, error)) clientv3.KV {
	return commits{kv, f}
}

type commits struct {
	clientv3.KV
	f func([]clientv3.Op, Commit) (*clientv3.TxnResponse, error)
}

type txn struct {
	kv            commits
	ctx           context.Context
	cmps          []clientv3.Cmp
	then, instead []clientv3.Op
}

func (k commits) Txn(ctx context.Context) clientv3.Txn { return &txn{kv: k, ctx: ctx} }

func (t *txn) If(c ...clientv3.Cmp) clientv3.Txn  { t.cmps = c; return t }
func (t *txn) Then(o ...clientv3.Op) clientv3.Txn { t.then = o; return t }
func (t *txn) Else(o ...clientv3.Op) clientv3.Txn { t.instead = o; return t }

func (t *txn) Commit() (*clientv3.TxnResponse, error) {
	return t.kv.f(t.then, func() (*clientv3.TxnResponse, error) {
		return t.kv.KV.Txn(t.ctx).If(t.cmps...).Then(t.then...).Else(t.instead...).Commit()
	})
}
