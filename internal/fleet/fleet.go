// Package fleet is what a fleet keeps in etcd beside its ring: where things
// are, what nodes report, what operators ask for. It holds no secret and
// decides nothing.
package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/keyring"
)

const (
	// DefaultPrefix is where rings are in etcd unless a fleet says otherwise.
	DefaultPrefix = "/stekring"
	// Timeout is how long one try of any call to etcd may take.
	Timeout = 3 * time.Second

	maxNodes    = 10_000
	maxRequests = 64
	maxValue    = 8 << 10 // bytes of a report or a request
	// maxListeners is how many of a report's are kept: an empty one has three
	// bytes in etcd, and sixteen here.
	maxListeners = 64
)

// Layout names the etcd keys of one ring.
type Layout struct{ root string }

// NewLayout returns the layout of a ring; prefix "" is [DefaultPrefix].
func NewLayout(prefix, ring string) Layout {
	if prefix == "" {
		prefix = DefaultPrefix
	}
	return Layout{prefix + "/" + ring}
}

// Root is the prefix of all of a ring's keys and of no other ring's.
func (l Layout) Root() string { return l.root + "/" }

func (l Layout) Ring() string             { return l.root + "/ring" }
func (l Layout) Election() string         { return l.root + "/election" }
func (l Layout) Nodes() string            { return l.root + "/nodes/" }
func (l Layout) Node(id string) string    { return l.Nodes() + id }
func (l Layout) Requests() string         { return l.root + "/requests/" }
func (l Layout) Request(id string) string { return l.Requests() + id }

// Node is what a node reports of itself, under its lease.
type Node struct {
	ID          string         `json:"id"`
	Epoch       uint64         `json:"epoch"`
	Version     uint64         `json:"version"`
	Since       time.Time      `json:"since,omitzero"` // when it applied that version, by its own clock
	Leader      bool           `json:"leader"`
	LeaderSince time.Time      `json:"leader_since,omitzero"`
	Local       bool           `json:"local"` // seals with own keys
	Problem     string         `json:"problem,omitempty"`
	Policy      keyring.Policy `json:"policy"` // as configured
	Build       string         `json:"build,omitempty"`
	Listeners   []string       `json:"listeners,omitempty"`
}

// Info returns how new the node's ring is.
func (n Node) Info() keyring.Info { return keyring.Info{Epoch: n.Epoch, Version: n.Version} }

// What an operator can ask the leader for.
const (
	Rotate = "rotate"
	Revoke = "revoke"
)

// Request asks the leader for one write. It lives under the caller's lease; the
// leader writes the answer into it.
type Request struct {
	Op       string  `json:"op"`
	Reason   string  `json:"reason,omitempty"`
	By       string  `json:"by,omitempty"`
	Patience float64 `json:"patience,omitempty"` // seconds the caller would rather wait than be refused
	Answer   *Answer `json:"answer,omitempty"`

	Key string `json:"-"`
	Rev int64  `json:"-"` // the key's ModRevision
}

// Answer is what became of a request.
type Answer struct {
	Epoch   uint64 `json:"epoch,omitempty"` // of the ring that was written
	Version uint64 `json:"version,omitempty"`
	Refused string `json:"refused,omitempty"` // why none was
}

// Snapshot is a fleet at one etcd revision.
type Snapshot struct {
	Fenced   bool   // the comparisons given to Read held
	Revision int64  // of etcd
	Ring     []byte // the sealed record; nil if there is none
	RingRev  int64  // its ModRevision; 0 if there is none
	Leader   string
	Term     int64     // its election.Term's Number
	Nodes    []Node    // by id
	Requests []Request // oldest first
}

// Read returns all of a fleet in one linearizable transaction, at most [Timeout]
// long. It leaves out reports that it cannot read, and all that has no lease:
// nobody stands behind that any more.
func Read(ctx context.Context, kv clientv3.KV, l Layout, fence ...clientv3.Cmp) (Snapshot, error) {
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), Timeout)
	defer cancel()
	gets := []clientv3.Op{
		clientv3.OpGet(l.Ring()),
		clientv3.OpGet(l.Election()+"/", clientv3.WithFirstCreate()...),
		clientv3.OpGet(l.Nodes(), clientv3.WithPrefix(), clientv3.WithLimit(maxNodes)),
		clientv3.OpGet(l.Requests(), clientv3.WithPrefix(), clientv3.WithLimit(maxRequests),
			clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortAscend)),
	}
	resp, err := kv.Txn(ctx).If(fence...).Then(gets...).Else(gets...).Commit()
	if err != nil {
		return Snapshot{}, fmt.Errorf("fleet: reading %s: %w", l.root, err)
	}
	s := Snapshot{Fenced: resp.Succeeded, Revision: resp.Header.Revision}
	kvs := func(i int) []*mvccpb.KeyValue { return resp.Responses[i].GetResponseRange().Kvs }
	for _, kv := range kvs(0) {
		s.Ring, s.RingRev = kv.Value, kv.ModRevision
	}
	for _, kv := range kvs(1) {
		s.Leader, s.Term = string(kv.Value), kv.CreateRevision
	}
	for _, kv := range kvs(2) {
		var n Node
		if kv.Lease != 0 && decode(kv.Value, &n) == nil && l.Node(n.ID) == string(kv.Key) {
			n.Listeners = slices.Clone(n.Listeners[:min(maxListeners, len(n.Listeners))])
			s.Nodes = append(s.Nodes, n)
		}
	}
	for _, kv := range kvs(3) {
		if kv.Lease == 0 {
			continue
		}
		r := Request{}
		if err := decode(kv.Value, &r); err != nil {
			r = Request{Op: "unreadable"} // the leader refuses it, so that its caller hears
		}
		r.Key, r.Rev = string(kv.Key), kv.ModRevision
		s.Requests = append(s.Requests, r)
	}
	return s, nil
}

func decode(value []byte, into any) error {
	if len(value) > maxValue {
		return fmt.Errorf("fleet: a value of %d bytes: must be at most %d", len(value), maxValue)
	}
	return json.Unmarshal(value, into)
}
