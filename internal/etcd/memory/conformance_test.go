package memory_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/stekring/stekring/internal/etcd/etcdtest"
	"github.com/stekring/stekring/internal/etcd/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is what a machine in trouble gets. In a bubble it is no time.
const patience = time.Minute

// server is what both etcds are to a test.
type server interface {
	Client() *clientv3.Client
	Down()
	Up()
	Wipe()
	Save() func()
}

// store is a server, a client of it, and a part of its keys that is the test's own.
type store struct {
	server
	t      *testing.T
	c      *clientv3.Client
	prefix string
}

func newStore(t *testing.T, e server) store {
	s := store{server: e, t: t, prefix: t.Name() + "/"}
	s.c = s.client()
	return s
}

// tame and wild are what must be true of any etcd. The tame tests share a real
// one, in turns, so that they can count its revisions; the wild ones stop it, or
// look at all that it has.
var tame, wild = map[string]func(*testing.T, store){}, map[string]func(*testing.T, store){}

func TestConformance(t *testing.T) {
	t.Parallel()
	shared := etcdtest.Start(t)
	for name, f := range tame {
		t.Run("etcd/"+name, func(t *testing.T) { f(t, newStore(t, shared)) })
		onMemory(t, name, f)
	}
	for name, f := range wild {
		t.Run("etcd/"+name, func(t *testing.T) {
			t.Parallel()
			f(t, newStore(t, etcdtest.Start(t)))
		})
		onMemory(t, name, f)
	}
}

// onMemory runs a test in real time, and in a bubble.
func onMemory(t *testing.T, name string, f func(*testing.T, store)) {
	t.Run("memory/"+name, func(t *testing.T) {
		t.Parallel()
		f(t, newStore(t, memory.New()))
	})
	t.Run("bubble/"+name, func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) { f(t, newStore(t, memory.New())) })
	})
}

func (s store) client() *clientv3.Client {
	c := s.Client()
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (s store) key(k string) string { return s.prefix + k }

// soon returns a context that ends when patience does.
func (s store) soon() context.Context {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	s.t.Cleanup(cancel)
	return ctx
}

func (s store) do(op clientv3.Op) clientv3.OpResponse {
	s.t.Helper()
	r, err := s.c.Do(s.soon(), op)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// put returns the revision that it made.
func (s store) put(k, v string, opts ...clientv3.OpOption) int64 {
	s.t.Helper()
	return s.do(clientv3.OpPut(s.key(k), v, opts...)).Put().Header.Revision
}

func (s store) get(k string, opts ...clientv3.OpOption) *clientv3.GetResponse {
	s.t.Helper()
	return s.do(clientv3.OpGet(s.key(k), opts...)).Get()
}

// one returns the key, which must be there.
func (s store) one(k string) *mvccpb.KeyValue {
	s.t.Helper()
	r := s.get(k)
	if len(r.Kvs) != 1 {
		s.t.Fatalf("%s: %d keys, want 1", k, len(r.Kvs))
	}
	return r.Kvs[0]
}

func (s store) delete(k string, opts ...clientv3.OpOption) *clientv3.DeleteResponse {
	s.t.Helper()
	return s.do(clientv3.OpDelete(s.key(k), opts...)).Del()
}

func (s store) grant(ttl int64) clientv3.LeaseID {
	s.t.Helper()
	r, err := s.c.Grant(s.soon(), ttl)
	if err != nil {
		s.t.Fatal(err)
	}
	return r.ID
}

func (s store) watch(k string, opts ...clientv3.OpOption) clientv3.WatchChan {
	return s.c.Watch(s.t.Context(), s.key(k), opts...)
}

// next returns the next response, or the one that a closed channel gives.
func (s store) next(w clientv3.WatchChan) clientv3.WatchResponse {
	s.t.Helper()
	select {
	case r := <-w:
		return r
	case <-s.soon().Done():
		s.t.Fatal("no response of a watch within a minute")
		panic("unreachable")
	}
}

// events reads n events, however they come.
func (s store) events(w clientv3.WatchChan, n int) (evs []*clientv3.Event) {
	s.t.Helper()
	for len(evs) < n {
		r := s.next(w)
		if r.Err() != nil || r.Header == nil {
			s.t.Fatalf("watch ended after %d events of %d: %+v, %v", len(evs), n, r, r.Err())
		}
		evs = append(evs, r.Events...)
	}
	return evs
}

// show writes events down without their revisions.
func (s store) show(evs []*clientv3.Event) string {
	var b []string
	for _, ev := range evs {
		text := strings.TrimPrefix(string(ev.Kv.Key), s.prefix)
		if ev.Type == clientv3.EventTypePut {
			text += "=" + string(ev.Kv.Value)
		} else {
			text = "-" + text
		}
		if ev.PrevKv != nil {
			text += "<" + string(ev.PrevKv.Value)
		}
		b = append(b, text)
	}
	return strings.Join(b, " ")
}

// names are the keys found, in order.
func (s store) names(kvs []*mvccpb.KeyValue) string {
	var b []string
	for _, kv := range kvs {
		b = append(b, strings.TrimPrefix(string(kv.Key), s.prefix))
	}
	return strings.Join(b, " ")
}

// until asks again and again until ok.
func (s store) until(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not within a minute", what)
		}
	}
}

// same compares as text, which is how the tables write what they want.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s = %s, want %s", what, g, w)
	}
}

// line is values with spaces between.
func line(v ...any) string { return strings.TrimSuffix(fmt.Sprintln(v...), "\n") }

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
