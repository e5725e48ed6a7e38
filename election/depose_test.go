package election_test

import (
	"context"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// A session says nothing about the key that was put under it. If somebody
// deletes that, another is elected and the first never hears of it.
func TestLeaderKeyDeleted(t *testing.T) {
	deposed(t, true, func(w world) { w.remove(string(w.key("a").Key)) })
}

// A session hears of its lease's end with the next keepalive, up to a third of
// the TTL after another was elected.
func TestLeaderLeaseRevoked(t *testing.T) {
	deposed(t, false, func(w world) { w.revoke(w.key("a").Lease) })
}

func deposed(t *testing.T, leaseLives bool, depose func(world)) {
	w := newWorld(t)
	c := w.control()
	old := c.bare(t.Context(), c.client(), "a", never)
	old.elected(t)
	depose(c)
	c.bare(t.Context(), c.client(), "b", never).elected(t)
	if over(old.session.Done()) {
		t.Fatal("control: the session of the old leader ended in time")
	}
	if ttl := c.ttl(old.session.Lease()); ttl > 0 != leaseLives {
		t.Fatalf("control: TTL of the old leader's lease = %d, want it to live: %t", ttl, leaseLives)
	}

	n := w.stand(w.client(), "a", never)
	first := await(t, "a to lead", n.terms)
	depose(w)
	await(t, "the context of lead to end", first.Done())
	second := await(t, "a to lead again", n.terms)
	if second.Number() <= first.Number() {
		t.Errorf("Number() = %d, want more than that of the term before, %d", second.Number(), first.Number())
	}
	if w.holds(first.Term) || !w.holds(second.Term) {
		t.Error("the fence must hold for the second term and not for the first")
	}
}

// Nobody watches before a watch begins, nor between two. That is no reason to
// end a term, but what happens to the key meanwhile is.
func TestLeaderKeyDeletedUnwatched(t *testing.T) {
	w := newWorld(t)
	client := w.client()
	watcher := &askingWatcher{client.Watcher, make(chan string), make(chan bool)}
	client.Watcher = watcher
	n := w.stand(client, "a", never)

	first := await(t, "a to lead", n.terms)
	key := await(t, "a to watch", watcher.asked)
	watcher.answer <- false
	if again := await(t, "a to watch again", watcher.asked); again != key || over(first.Done()) {
		t.Fatal("the term ended with its watch")
	}
	// What is compacted cannot be watched.
	r, err := w.admin.Delete(t.Context(), key)
	if err == nil {
		_, err = w.admin.Compact(t.Context(), r.Header.Revision)
	}
	if err != nil {
		t.Fatal(err)
	}
	watcher.answer <- false
	await(t, "the term to end, whose key went between two watches", first.Done())

	second := await(t, "a to lead again", n.terms)
	w.remove(await(t, "a to watch", watcher.asked))
	watcher.answer <- true
	await(t, "the term to end, whose key went before the watch", second.Done())
}

// askingWatcher asks, with the key, whether to watch or to end at once.
type askingWatcher struct {
	clientv3.Watcher
	asked  chan string
	answer chan bool
}

func (w *askingWatcher) Watch(ctx context.Context, key string, o ...clientv3.OpOption) clientv3.WatchChan {
	none := make(chan clientv3.WatchResponse)
	close(none)
	select {
	case w.asked <- key:
	case <-ctx.Done():
		return none
	}
	select {
	case yes := <-w.answer:
		if yes {
			return w.Watcher.Watch(ctx, key, o...)
		}
	case <-ctx.Done():
	}
	return none
}

// A leader that was stopped for a while writes before it hears of anything.
// Only the fence refuses that write, and not by the name of a key alone.
func TestFenceEndsWithTheTerm(t *testing.T) {
	w := newWorld(t)
	n := w.stand(w.client(), "a", never)
	term := await(t, "a to lead", n.terms)
	if !w.holds(term.Term) {
		t.Fatal("the fence does not hold while a leads")
	}
	key := string(w.key("a").Key)
	w.remove(key)
	if w.holds(term.Term) {
		t.Error("the fence holds without the leader's key")
	}
	if _, err := n.client.Put(t.Context(), "/test/unfenced", ""); err != nil {
		t.Errorf("control: the same client cannot write without the fence: %v", err)
	}
	if _, err := w.admin.Put(t.Context(), key, "a"); err != nil {
		t.Fatal(err)
	}
	if w.holds(term.Term) {
		t.Error("the fence holds for a key of the same name")
	}
}
