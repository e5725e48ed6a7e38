package election_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

// A waiting candidate watches only the key before its own. If its lease goes
// first, Campaign makes it a leader that etcd knows nothing of, beside the one
// that etcd does know.
func TestPhantomLeader(t *testing.T) {
	t.Run("its key is gone", func(t *testing.T) {
		phantom(t, func(w world, _ string) string { return w.prefix + "/c" })
	})
	t.Run("its key is another's", func(t *testing.T) {
		phantom(t, func(_ world, own string) string { return own })
	})
}

// phantom has the key of the one behind the lost candidate's own be called heir.
func phantom(t *testing.T, heir func(w world, own string) string) {
	w := newWorld(t)
	// strand takes the lease of the waiting b, then its predecessor's key.
	// The one behind it is the leader from then on.
	strand := func(w world) (behind string, rev int64) {
		b := w.standing("b", 0)
		behind = heir(w, string(b.Key))
		w.revoke(b.Lease)
		if _, err := w.admin.Put(t.Context(), behind, "c"); err != nil {
			t.Fatal(err)
		}
		w.remove(w.prefix + "/a")
		return behind, b.CreateRevision
	}

	c := w.control()
	c.put("a")
	bare := c.bare(t.Context(), c.client(), "b", never)
	strand(c)
	bare.elected(t)
	if c.key("b") != nil {
		t.Fatal("control: the elected b has a key")
	}

	w.put("a")
	n := w.stand(w.client(), "b", never)
	behind, lost := strand(w)
	again := w.standingOrLeading(n, "b", lost)
	if len(n.terms) > 0 {
		t.Fatal("b leads without a key of its own")
	}
	w.remove(behind)
	term := await(t, "b to lead", n.terms)
	if term.Number() != again {
		t.Errorf("Number() = %d, want %d, where b's key was made", term.Number(), again)
	}
	if !w.holds(term.Term) {
		t.Error("the fence of the only candidate does not hold")
	}
}

// standingOrLeading waits for a new key, or for what must not come before it.
func (w world) standingOrLeading(n *node, id string, after int64) (rev int64) {
	w.Helper()
	poll(w, id+" to stand again", func() bool {
		if kv := w.key(id); kv != nil && kv.CreateRevision > after {
			rev = kv.CreateRevision
		}
		return rev > 0 || len(n.terms) > 0
	})
	return rev
}

// A candidate whose lease ended is out of the line, but Campaign goes on
// waiting in it for as long as the leader leads.
func TestZombieCandidate(t *testing.T) {
	const ttl = 3 * time.Second
	w := newWorld(t)
	c := w.control()
	c.put("a")
	zombie := c.bare(t.Context(), c.client(), "b", ttl)
	c.revoke(c.standing("b", 0).Lease)

	w.put("a")
	n := w.stand(w.client(), "b", ttl)
	first := w.standing("b", 0)
	w.revoke(first.Lease)
	w.standing("b", first.CreateRevision)

	await(t, "control: the session to end", zombie.session.Done())
	if over(zombie.result) || c.key("b") != nil {
		t.Fatal("control: Campaign noticed that its session ended")
	}
	if len(n.terms) > 0 {
		t.Fatal("b leads while a does")
	}
	w.remove(w.prefix + "/a")
	if term := await(t, "b to lead", n.terms); term.Number() <= first.CreateRevision {
		t.Errorf("Number() = %d, want more than that of the lost key, %d", term.Number(), first.CreateRevision)
	}
}

// A candidacy that etcd committed, and whose answer was lost, leaves a key for
// which nobody stands and that nobody resigns. As long as its lease lives, no
// one is elected.
func TestLostAnswerLeavesNoKey(t *testing.T) {
	w := newWorld(t)
	c := w.control()
	client := c.client()
	client.KV = lossy(client.KV)
	orphan := c.bare(t.Context(), client, "a", never)
	if err := await(t, "control: Campaign to return", orphan.result); !errors.Is(err, errLost) {
		t.Fatalf("control: Campaign() = %v, want %v", err, errLost)
	}
	if err := orphan.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.key("a") == nil {
		t.Fatal("control: the key is gone")
	}

	client = w.client()
	client.KV = lossy(client.KV)
	n := w.stand(client, "a", never)
	if term := await(t, "a to lead", n.terms); !w.holds(term.Term) {
		t.Error("the fence of the only candidate does not hold")
	}
}

var errLost = errors.New("the answer was lost")

// lossy loses the answer to its first transaction.
func lossy(kv clientv3.KV) clientv3.KV {
	var lost atomic.Bool
	return etcdtest.Commits(kv, func(_ []clientv3.Op, commit etcdtest.Commit) (*clientv3.TxnResponse, error) {
		r, err := commit()
		if err == nil && lost.CompareAndSwap(false, true) {
			return nil, errLost
		}
		return r, err
	})
}
