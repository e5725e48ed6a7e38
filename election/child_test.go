package election_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/election"
	"github.com/stekring/stekring/internal/etcd"
)

// childEnv makes this test binary one candidate, with a client, a prefix and an
// ID of its own.
const childEnv = "ELECTION_TEST_LEADER"

// child is a candidate that says when it leads, and writes when it is told to.
type child struct {
	*clientv3.Client
	ctx    context.Context // ends with stdin
	prefix string
	told   chan struct{}
}

// childMain runs a candidate until the end of stdin: when the process that
// started it is gone, so is this one.
func childMain(endpoint, prefix, id string) error {
	client, err := etcd.Dial(etcd.Options{Endpoints: []string{endpoint}})
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithCancel(context.Background())
	c := &child{client, ctx, prefix, make(chan struct{})}
	go func() {
		defer cancel()
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			c.told <- struct{}{}
		}
	}()
	// Long enough to be kept alive on a busy machine, most of the time.
	cand := election.Candidate{Client: client, Prefix: prefix, ID: id, TTL: 2 * time.Second}
	_ = cand.Run(ctx, c.lead)
	return nil
}

// lead decides what to write when its term begins, and writes it whatever
// became of the term, as a process that was stopped in between would.
func (c *child) lead(ctx context.Context, t election.Term) error {
	r, err := c.Txn(ctx).Then(clientv3.OpGet(fenced+c.prefix), clientv3.OpGet(unfenced+c.prefix)).Commit()
	if err != nil {
		return err
	}
	var seen [2]int64 // 0 is that there is no such key
	for i := range seen {
		for _, kv := range r.Responses[i].GetResponseRange().Kvs {
			seen[i] = kv.ModRevision
		}
	}
	fmt.Println("leads", t.Number())
	select {
	case <-c.told:
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
	_, without, err := c.write(unfenced, seen[1])
	if err != nil {
		return err
	}
	at, with, err := c.write(fenced, seen[0], t.Fence())
	if err != nil {
		return err
	}
	fmt.Printf("wrote fenced=%t unfenced=%t at=%d\n", with, without, at)
	return nil
}

// write also returns etcd's revision, at which it was taken or refused.
func (c *child) write(key string, seen int64, fence ...clientv3.Cmp) (at int64, taken bool, err error) {
	key += c.prefix
	same := clientv3.Compare(clientv3.ModRevision(key), "=", seen)
	r, err := c.Txn(c.ctx).If(append(fence, same)...).Then(clientv3.OpPut(key, "")).Commit()
	if err != nil {
		fmt.Println("cannot write:", err)
		return 0, false, err
	}
	return r.Header.Revision, r.Succeeded, nil
}
