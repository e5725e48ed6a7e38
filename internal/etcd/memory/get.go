package memory

import (
	"bytes"
	"cmp"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

func (t *tx) get(r *pb.RangeRequest) *pb.RangeResponse {
	kvs := t.e.find(r.Key, r.RangeEnd)
	resp := &pb.RangeResponse{Header: header(t.rev()), Count: int64(len(kvs))}
	if r.CountOnly {
		return resp
	}
	filtered := r.MinModRevision != 0 || r.MaxModRevision != 0 || r.MinCreateRevision != 0 || r.MaxCreateRevision != 0
	if r.SortOrder == pb.RangeRequest_NONE && !filtered && r.Limit > 0 {
		kvs = kvs[:min(int64(len(kvs)), r.Limit+1)] // before it sorts them nevertheless
	}
	kvs = slices.DeleteFunc(kvs, func(kv *mvccpb.KeyValue) bool {
		return kv.ModRevision < r.MinModRevision || r.MaxModRevision != 0 && kv.ModRevision > r.MaxModRevision ||
			kv.CreateRevision < r.MinCreateRevision || r.MaxCreateRevision != 0 && kv.CreateRevision > r.MaxCreateRevision
	})
	slices.SortStableFunc(kvs, func(a, b *mvccpb.KeyValue) int {
		order := 0
		switch r.SortTarget {
		case pb.RangeRequest_KEY:
			order = bytes.Compare(a.Key, b.Key)
		case pb.RangeRequest_VERSION:
			order = cmp.Compare(a.Version, b.Version)
		case pb.RangeRequest_CREATE:
			order = cmp.Compare(a.CreateRevision, b.CreateRevision)
		case pb.RangeRequest_MOD:
			order = cmp.Compare(a.ModRevision, b.ModRevision)
		case pb.RangeRequest_VALUE:
			order = bytes.Compare(a.Value, b.Value)
		}
		if r.SortOrder == pb.RangeRequest_DESCEND {
			return -order
		}
		return order
	})
	if r.Limit > 0 && int64(len(kvs)) > r.Limit {
		kvs, resp.More = kvs[:r.Limit], true
	}
	for _, kv := range kvs {
		kv = copyOf(kv)
		if r.KeysOnly {
			kv.Value = nil
			if r.SortTarget != pb.RangeRequest_VALUE {
				kv.Lease = 0 // etcd's index does not know it
			}
		}
		resp.Kvs = append(resp.Kvs, kv)
	}
	return resp
}
