package rotator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/etcd"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/keyring/seal"
)

// TestGoroutines holds what an idle node may cost, in a process of its own: the
// etcd of a test has goroutines too.
func TestGoroutines(t *testing.T) {
	t.Parallel()
	e := etcdtest.Start(t)
	f := newFleet(t, e)
	kek := filepath.Join(t.TempDir(), "kek")
	if err := os.WriteFile(kek, f.kek.File(), 0o600); err != nil {
		t.Fatal(err)
	}
	leader := f.start(slow, func(c *rotator.Config) { c.TTL = time.Minute })
	f.until(leader, "lead", leads)
	f.until(leader, "ring", version(1))
	for role, most := range map[string]goroutines{
		"observer": {Own: 12, All: 12},
		// The etcd client has 18 of these for two watches and two leases.
		"candidate": {Own: 12, All: 24},
	} {
		t.Run(role, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience())
			defer cancel()
			lone := exec.CommandContext(ctx, os.Args[0], e.Endpoint(), kek, role)
			lone.Env, lone.Stderr = append(os.Environ(), loneEnv+"=1"), os.Stderr
			out, err := lone.Output()
			if err != nil {
				t.Fatal(err)
			}
			var n goroutines
			if err := json.Unmarshal(out, &n); err != nil {
				t.Fatalf("%q: %v", out, err)
			}
			t.Logf("%+v", n)
			if n.Own > most.Own || n.All > most.All || n.Own < 1 {
				t.Errorf("an idle %s has %+v, want at most %+v", role, n, most)
			}
		})
	}
}

// loneEnv makes this test binary one node.
const loneEnv = "ROTATOR_TEST_LONE"

// goroutines are how many a node adds to those of a process that has an etcd
// client.
type goroutines struct {
	Own int // with a frame of this module
	All int // those of the etcd client that work for it, too
}

// loneMain runs one node until it is idle, and prints its goroutines.
func loneMain(endpoint, kekFile, role string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience())
	defer cancel()
	kek, err := seal.LoadKEK(kekFile)
	if err != nil {
		return err
	}
	client, err := etcd.Dial(etcd.Options{Endpoints: []string{endpoint}})
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	path := fleet.NewLayout("", "test")
	if _, err := client.Get(ctx, path.Ring()); err != nil {
		return err
	}
	before, err := settled(ctx)
	if err != nil {
		return err
	}
	r, err := rotator.New(rotator.Config{
		Client: client, Ring: "test", ID: role, KEK: kek, TTL: time.Minute, Observer: role == "observer",
	})
	if err != nil {
		return err
	}
	rctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(rctx) }()
	defer func() { stop(); <-done }()
	if err := r.Wait(ctx); err != nil {
		return err
	}
	for stands := role == "observer"; !stands; time.Sleep(10 * time.Millisecond) {
		got, err := client.Get(ctx, path.Election()+"/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			return err
		}
		stands = got.Count == 2
	}
	after, err := settled(ctx)
	if err != nil {
		return err
	}
	if r.Status().Leader {
		return errors.New("it leads")
	}
	return json.NewEncoder(os.Stdout).Encode(goroutines{Own: after.Own - before.Own, All: after.All - before.All})
}

// settled counts once the count stays the same for two seconds.
func settled(ctx context.Context) (n goroutines, err error) {
	for same := 0; same < 100; same++ {
		if ctx.Err() != nil {
			return n, fmt.Errorf("goroutines come and go: %w", ctx.Err())
		}
		if now := count(); now != n {
			n, same = now, 0
		}
		time.Sleep(20 * time.Millisecond)
	}
	return n, nil
}

func count() (n goroutines) {
	buf := make([]byte, 1<<20)
	for g := range bytes.SplitSeq(buf[:runtime.Stack(buf, true)], []byte("\n\n")) {
		n.All++
		for line := range bytes.Lines(g) {
			if bytes.HasPrefix(line, []byte("github.com/stekring/stekring/")) {
				n.Own++
				break
			}
		}
	}
	return n
}
