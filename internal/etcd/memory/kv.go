package memory

import (
	"bytes"
	"cmp"
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
)

// kv is what clientv3.KV talks to. To it every call is a transaction.
type kv struct{ *conn }

func (k kv) Txn(ctx context.Context, r *pb.TxnRequest, _ ...grpc.CallOption) (resp *pb.TxnResponse, err error) {
	err = k.call(ctx, func() error {
		if err := check(r); err != nil {
			return err
		}
		resp = &pb.TxnResponse{Succeeded: true}
		ops := r.Success
		for _, c := range r.Compare {
			if !k.e.holds(c) {
				resp.Succeeded, ops = false, r.Failure
				break
			}
		}
		for _, op := range ops { // before anything is written
			if err := k.e.checkPut(op.GetRequestPut()); err != nil {
				return err
			}
		}
		t := &tx{e: k.e}
		for _, op := range ops {
			resp.Responses = append(resp.Responses, t.do(op))
		}
		resp.Header = header(t.rev())
		t.commit()
		return nil
	})
	return resp, err
}

func (k kv) one(ctx context.Context, op *pb.RequestOp) (*pb.ResponseOp, error) {
	resp, err := k.Txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{op}})
	if err != nil {
		return nil, err
	}
	return resp.Responses[0], nil
}

func (k kv) Range(ctx context.Context, r *pb.RangeRequest, _ ...grpc.CallOption) (*pb.RangeResponse, error) {
	resp, err := k.one(ctx, &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: r}})
	return resp.GetResponseRange(), err
}

func (k kv) Put(ctx context.Context, r *pb.PutRequest, _ ...grpc.CallOption) (*pb.PutResponse, error) {
	resp, err := k.one(ctx, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: r}})
	return resp.GetResponsePut(), err
}

func (k kv) DeleteRange(ctx context.Context, r *pb.DeleteRangeRequest, _ ...grpc.CallOption) (*pb.DeleteRangeResponse, error) {
	resp, err := k.one(ctx, &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: r}})
	return resp.GetResponseDeleteRange(), err
}

func (k kv) Compact(ctx context.Context, r *pb.CompactionRequest, _ ...grpc.CallOption) (resp *pb.CompactionResponse, err error) {
	err = k.call(ctx, func() error {
		resp = &pb.CompactionResponse{Header: header(k.e.rev)}
		return k.e.compact(r.Revision)
	})
	return resp, err
}

func (k kv) RangeStream(context.Context, *pb.RangeRequest, ...grpc.CallOption) (grpc.ServerStreamingClient[pb.RangeStreamResponse], error) {
	panic("memory: GetStream is not supported")
}

func (d *data) compact(rev int64) error {
	switch {
	case rev <= d.compacted:
		return rpctypes.ErrGRPCCompacted
	case rev > d.rev:
		return rpctypes.ErrGRPCFutureRev
	}
	d.log, d.compacted = append([]*mvccpb.Event(nil), d.since(rev)...), rev
	return nil
}

func (t *tx) do(op *pb.RequestOp) *pb.ResponseOp {
	switch r := op.Request.(type) {
	case *pb.RequestOp_RequestRange:
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{ResponseRange: t.get(r.RequestRange)}}
	case *pb.RequestOp_RequestPut:
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponsePut{ResponsePut: t.put(r.RequestPut)}}
	default:
		d := op.GetRequestDeleteRange()
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseDeleteRange{ResponseDeleteRange: t.delete(d)}}
	}
}

func (t *tx) put(p *pb.PutRequest) *pb.PutResponse {
	old, value, lease := t.e.keys[string(p.Key)], p.Value, p.Lease
	if p.IgnoreValue {
		value = old.Value
	}
	if p.IgnoreLease {
		lease = old.Lease
	}
	t.write(p.Key, value, lease)
	resp := &pb.PutResponse{Header: header(t.rev())}
	if p.PrevKv {
		resp.PrevKv = copyOf(old)
	}
	return resp
}

func (t *tx) delete(r *pb.DeleteRangeRequest) *pb.DeleteRangeResponse {
	kvs := t.e.find(r.Key, r.RangeEnd)
	t.remove(kvs)
	resp := &pb.DeleteRangeResponse{Header: header(t.rev()), Deleted: int64(len(kvs))}
	if r.PrevKv {
		for _, kv := range kvs {
			resp.PrevKvs = append(resp.PrevKvs, copyOf(kv))
		}
	}
	return resp
}

// holds reports whether a comparison holds for every key in its range.
func (d *data) holds(c *pb.Compare) bool {
	kvs := d.find(c.Key, c.RangeEnd)
	if len(kvs) == 0 {
		if c.Target == pb.Compare_VALUE {
			return false // no value is not the empty value
		}
		kvs = []*mvccpb.KeyValue{{}}
	}
	for _, kv := range kvs {
		var order int
		switch c.Target {
		case pb.Compare_VALUE:
			order = bytes.Compare(kv.Value, c.GetValue())
		case pb.Compare_VERSION:
			order = cmp.Compare(kv.Version, c.GetVersion())
		case pb.Compare_CREATE:
			order = cmp.Compare(kv.CreateRevision, c.GetCreateRevision())
		case pb.Compare_MOD:
			order = cmp.Compare(kv.ModRevision, c.GetModRevision())
		case pb.Compare_LEASE:
			order = cmp.Compare(kv.Lease, c.GetLease())
		}
		if ok := map[pb.Compare_CompareResult]bool{
			pb.Compare_EQUAL: order == 0, pb.Compare_NOT_EQUAL: order != 0,
			pb.Compare_LESS: order < 0, pb.Compare_GREATER: order > 0,
		}[c.Result]; !ok {
			return false
		}
	}
	return true
}
