package cli

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/etcd/etcdtest"
	"github.com/stekring/stekring/internal/etcd/memory"
	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/seal"
)

// TestImportFindsItsOwn is an import whose first answer is lost, and another by
// somebody else.
func TestImportFindsItsOwn(t *testing.T) {
	client := memory.New().Client()
	defer client.Close()
	client.KV = etcdtest.Commits(client.KV, func(_ []clientv3.Op, commit etcdtest.Commit) (*clientv3.TxnResponse, error) {
		_, _ = commit()
		return commit() // as the client does that got no answer
	})
	f := &fleetClient{client: client, layout: fleet.NewLayout("", "test"), kek: seal.NewKEK()}
	ring := keyring.DefaultPolicy.First(1, 1, time.Now())
	if err := f.create(t.Context(), ring); err != nil {
		t.Errorf("its own record: %v", err)
	}
	if err := f.create(t.Context(), ring); err == nil {
		t.Error("wrote over a ring")
	}
}

func TestDefinite(t *testing.T) {
	for err, want := range map[error]bool{
		rpctypes.ErrPermissionDenied: true, rpctypes.ErrNoSpace: true, rpctypes.ErrAuthFailed: true,
		rpctypes.ErrTimeout: false, rpctypes.ErrNoLeader: false, context.DeadlineExceeded: false,
	} {
		if got := definite(fmt.Errorf("reading: %w", err)); got != want {
			t.Errorf("definite(%v) = %t, want %t", err, got, want)
		}
	}
}

func TestDrops(t *testing.T) {
	now := time.Now()
	for want, at := range map[string]time.Time{"-": {}, "dropped": now.Add(-time.Minute), "in 5m0s": now.Add(5 * time.Minute)} {
		if got := drops(at, now); got != want {
			t.Errorf("drops(%v) = %q, want %q", at.Sub(now), got, want)
		}
	}
}
