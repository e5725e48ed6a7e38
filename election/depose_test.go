package election_test

import "testing"

// A session says nothing about the key that was put under it. If somebody
// deletes that, another is elected and the first never hears of it.
func TestLeaderKeyDeleted(t *testing.T) {
	deposed(t, func(w world) { w.remove(string(w.key("a").Key)) })
}

// A session hears of its lease's end with the next keepalive, up to a third of
// the TTL after another was elected.
func TestLeaderLeaseRevoked(t *testing.T) {
	deposed(t, func(w world) { w.revoke(w.key("a").Lease) })
}

func deposed(t *testing.T, depose func(world)) {
	w := newWorld(t)
	c := w.control()
	old := c.bare(t.Context(), c.client(), "a", never)
	old.elected(t)
	depose(c)
	c.bare(t.Context(), c.client(), "b", never).elected(t)
	if over(old.session.Done()) {
		t.Fatal("control: the session of the old leader ended in time")
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
