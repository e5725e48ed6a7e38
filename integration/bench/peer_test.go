package main

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

func TestEtcdStorage(t *testing.T) {
	e := etcdtest.Start(t)
	instance := func() *etcdStorage {
		c, err := (&server{endpoint: e.Endpoint()}).client()
		if err != nil {
			t.Fatal(err)
		}
		s, err := newEtcdStorage(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.client.Close() })
		return s
	}
	a, b, ctx := instance(), instance(), t.Context()
	if _, err := a.Load(ctx, "stek"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of a missing key = %v, want %v", err, fs.ErrNotExist)
	}
	if err := a.Store(ctx, "stek", []byte("one")); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Load(ctx, "stek"); string(got) != "one" {
		t.Errorf("Load = %q, %v, want what the other stored", got, err)
	}
	if err := a.Lock(ctx, "check"); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if err := b.Lock(short, "check"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Lock of what the other holds = %v, want %v", err, context.DeadlineExceeded)
	}
	got := make(chan error, 1)
	go func() { got <- b.Lock(ctx, "check") }()
	if err := a.Unlock(ctx, "check"); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Fatalf("Lock of what the other has let go: %v", err)
	}
	if err := b.Unlock(ctx, "check"); err != nil {
		t.Fatal(err)
	}
}

// caddyRecord is a record of one key, as Caddy's module stores it.
func caddyRecord(t *testing.T, key byte) []byte {
	t.Helper()
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(struct {
		Keys                       [][32]byte
		LastRotation, NextRotation time.Time
	}{Keys: [][32]byte{{key}}})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestTurns has one of two instances miss a rotation, whose keys come with the next.
func TestTurns(t *testing.T) {
	turns := newTurns(2)
	nobody := func(int) bool { return false }
	for i := range byte(3) {
		if err := turns.commit(caddyRecord(t, i)); err != nil {
			t.Fatal(err)
		}
		turns.swap(0, [32]byte{i})
		if i != 1 {
			turns.swap(1, [32]byte{i})
		}
		if got := turns.complete(int(i), nobody); got != (i != 1) {
			t.Errorf("complete(%d) = %v", i, got)
		}
	}
	if !turns.complete(1, nobody) {
		t.Error("newer keys do not count for the rotation before")
	}
	s := turns.times(1, 10)
	if len(s.Last) != 2 || s.Last[0] <= s.First[0] {
		t.Errorf("times = %+v, want two, the first of which has an instance that is late", s)
	}
}
