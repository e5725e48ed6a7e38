package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/stekring/stekring/internal/etcd"
	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/keyring/seal"
)

// nodeOptions are a node's, as its parent gives them to it.
type nodeOptions struct {
	endpoint, kekFile, ring, id string

	ttl       time.Duration
	bare      bool          // an etcd client that makes one Get, and no rotator
	holds     bool          // with bare: and watches the key, and keeps a lease alive
	observer  bool          // a rotator that never leads
	weigh     time.Duration // after so long, say what the process weighs
	rotations int           // lead through so many, and say what becomes of it
}

func (o *nodeOptions) flags() *flag.FlagSet {
	f := flag.NewFlagSet("node", flag.ContinueOnError)
	f.StringVar(&o.endpoint, "etcd", o.endpoint, "")
	f.StringVar(&o.kekFile, "kek", o.kekFile, "")
	f.StringVar(&o.ring, "ring", o.ring, "")
	f.StringVar(&o.id, "id", o.id, "")
	f.DurationVar(&o.ttl, "ttl", o.ttl, "")
	f.BoolVar(&o.bare, "bare", o.bare, "")
	f.BoolVar(&o.holds, "holds", o.holds, "")
	f.BoolVar(&o.observer, "observer", o.observer, "")
	f.DurationVar(&o.weigh, "weigh", o.weigh, "")
	f.IntVar(&o.rotations, "rotations", o.rotations, "")
	return f
}

func (o *nodeOptions) args() (args []string) {
	o.flags().VisitAll(func(f *flag.Flag) { args = append(args, "-"+f.Name+"="+f.Value.String()) })
	return args
}

// nodeRole is one node in a process of its own, until a TERM. It says "ready"
// when it has the ring, "leads" as soon as it does, and with -weigh, once, what
// it weighs.
func nodeRole(args []string) error {
	var o nodeOptions
	if err := o.flags().Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	client, err := etcd.Dial(etcd.Options{Endpoints: []string{o.endpoint}})
	if err != nil {
		return err
	}
	defer client.Close()
	if o.bare {
		return otherUse(ctx, client, o)
	}
	kek, err := seal.LoadKEK(o.kekFile)
	if err != nil {
		return err
	}
	logged := make(chan struct{}, 1)
	rot, err := rotator.New(rotator.Config{
		Client: client, Ring: o.ring, ID: o.id, KEK: kek, TTL: o.ttl, Observer: o.observer, Log: nudge(logged),
	})
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_ = rot.Run(ctx)
		close(ended)
	}()
	defer func() { stop(); <-ended }()
	if rot.Wait(ctx) != nil {
		return nil
	}
	if o.rotations > 0 {
		return grow(ctx, rot, o)
	}
	fmt.Println("ready")
	if o.weigh > 0 {
		return weighed(ctx, o)
	}
	watchLead(ctx, rot, logged)
	return nil
}

// otherUse is a process that uses etcd for something else.
func otherUse(ctx context.Context, c *clientv3.Client, o nodeOptions) error {
	gctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	key := fleet.NewLayout("", o.ring).Ring()
	if _, err := c.Get(gctx, key); err != nil {
		return err
	}
	if o.holds {
		lease, err := c.Grant(gctx, int64(o.ttl.Seconds()))
		if err != nil {
			return err
		}
		var wg sync.WaitGroup
		hctx, stop := context.WithCancel(clientv3.WithRequireLeader(ctx))
		defer func() { stop(); wg.Wait() }()
		alive, err := c.KeepAlive(hctx, lease.ID)
		if err != nil {
			return err
		}
		wg.Go(func() {
			for range alive {
			}
		})
		wg.Go(func() {
			for range c.Watch(hctx, key) {
			}
		})
	}
	fmt.Println("ready")
	return weighed(ctx, o)
}

// watchLead says when the node leads. Whatever it logs is a reason to look at
// once, and for a moment closely: "elected" comes just before.
func watchLead(ctx context.Context, rot *rotator.Rotator, logged <-chan struct{}) {
	led, close := int64(0), time.Now()
	for {
		if s := rot.Status(); s.Leader && s.Term != led {
			led = s.Term
			fmt.Println("leads")
		}
		wait := 100 * time.Millisecond
		if time.Since(close) < 50*time.Millisecond {
			wait = 200 * time.Microsecond
		}
		select {
		case <-logged:
			close = time.Now()
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// nudge is a log that tells only that something was logged.
func nudge(logged chan<- struct{}) *zap.Logger {
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), zapcore.AddSync(io.Discard), zap.InfoLevel)
	return zap.New(core, zap.Hooks(func(zapcore.Entry) error {
		select {
		case logged <- struct{}{}:
		default:
		}
		return nil
	}))
}

// weighed says what the process weighs, once it has settled.
func weighed(ctx context.Context, o nodeOptions) error {
	if o.weigh > 0 {
		if sleep(ctx, o.weigh) != nil {
			return nil
		}
		w, err := weigh(o.endpoint)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(w); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

// node is a child in that role.
type node struct {
	*child
	id string
}

// startNode starts a node. What it says goes to heard, which must have room for
// it or a reader.
func startNode(ctx context.Context, o nodeOptions, heard chan<- said) (*node, error) {
	c, err := spawn(ctx, "node", &ear{by: o.id, heard: heard}, os.Stderr, o.args()...)
	if err != nil {
		return nil, err
	}
	return &node{c, o.id}, nil
}
