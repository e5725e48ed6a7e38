package memory

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

const maxOps = 128 // etcd's default

// check refuses what etcd refuses without a look at its data.
func check(r *pb.TxnRequest) error {
	if max(len(r.Compare), len(r.Success), len(r.Failure)) > maxOps {
		return rpctypes.ErrGRPCTooManyOps
	}
	for _, c := range r.Compare {
		if len(c.Key) == 0 {
			return rpctypes.ErrGRPCEmptyKey
		}
	}
	for _, ops := range [][]*pb.RequestOp{r.Success, r.Failure} {
		for _, op := range ops {
			if err := checkOp(op); err != nil {
				return err
			}
		}
	}
	for _, ops := range [][]*pb.RequestOp{r.Success, r.Failure} {
		if err := checkOverlap(ops); err != nil {
			return err
		}
	}
	return nil
}

func checkOp(op *pb.RequestOp) error {
	p, r, d := op.GetRequestPut(), op.GetRequestRange(), op.GetRequestDeleteRange()
	switch {
	case op.GetRequestTxn() != nil:
		panic("memory: a transaction in a transaction is not supported")
	case r.GetRevision() != 0:
		panic("memory: Get WithRev is not supported")
	case len(p.GetKey())+len(r.GetKey())+len(d.GetKey()) == 0:
		return rpctypes.ErrGRPCEmptyKey
	case p.GetIgnoreValue() && len(p.Value) > 0:
		return rpctypes.ErrGRPCValueProvided
	case p.GetIgnoreLease() && p.Lease != 0:
		return rpctypes.ErrGRPCLeaseProvided
	}
	return nil
}

// checkOverlap refuses to put a key twice, or to put what is deleted too.
func checkOverlap(ops []*pb.RequestOp) error {
	puts := map[string]bool{}
	for _, op := range ops {
		p := op.GetRequestPut()
		if p == nil {
			continue
		}
		if puts[string(p.Key)] {
			return rpctypes.ErrGRPCDuplicateKey
		}
		puts[string(p.Key)] = true
		for _, op := range ops {
			if d := op.GetRequestDeleteRange(); d != nil && within(p.Key, d.Key, d.RangeEnd) {
				return rpctypes.ErrGRPCDuplicateKey
			}
		}
	}
	return nil
}

// checkPut refuses a put that the data do not allow.
func (d *data) checkPut(p *pb.PutRequest) error {
	switch {
	case p == nil:
	case p.Lease != 0 && d.leases[p.Lease] == nil:
		return rpctypes.ErrGRPCLeaseNotFound
	case (p.IgnoreValue || p.IgnoreLease) && d.keys[string(p.Key)] == nil:
		return rpctypes.ErrGRPCKeyNotFound
	}
	return nil
}
