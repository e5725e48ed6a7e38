package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// etcdStorage is what Caddy's module needs of a storage, on etcd, as well as
// etcd can do it: a queue for the lock, in which nobody polls, and one request
// for a load or a store. It serves one instance, which asks for one thing at a
// time.
type etcdStorage struct {
	certmagic.Storage // nil: what the module never calls is not there

	client  *clientv3.Client
	session *concurrency.Session
	held    *concurrency.Mutex
}

// newEtcdStorage takes a client over.
func newEtcdStorage(ctx context.Context, c *clientv3.Client) (*etcdStorage, error) {
	s, err := concurrency.NewSession(c, concurrency.WithContext(ctx))
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &etcdStorage{client: c, session: s}, nil
}

func (s *etcdStorage) close() { _ = errors.Join(s.session.Close(), s.client.Close()) }

const storagePrefix = "/caddy/"

func (s *etcdStorage) Lock(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // others are before it
	defer cancel()
	m := concurrency.NewMutex(s.session, storagePrefix+"locks/"+name)
	if err := m.Lock(ctx); err != nil {
		return err
	}
	s.held = m
	return nil
}

func (s *etcdStorage) Unlock(ctx context.Context, _ string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return s.held.Unlock(ctx)
}

func (s *etcdStorage) Load(ctx context.Context, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	resp, err := s.client.Get(ctx, storagePrefix+key)
	if err != nil {
		return nil, err
	}
	if len(resp.Kvs) == 0 {
		return nil, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
	}
	return resp.Kvs[0].Value, nil
}

func (s *etcdStorage) Store(ctx context.Context, key string, value []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := s.client.Put(ctx, storagePrefix+key, string(value))
	return err
}

// watched is one instance's storage, and a module of Caddy's that has it.
type watched struct {
	certmagic.Storage
	id     string
	behind time.Duration // of its clock, so that it comes to rotate later
	delay  time.Duration // of every operation, half of it on the way there
	turns  *turns

	operations atomic.Int64
	failed     atomic.Bool // and no keys have come since
}

func (w *watched) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: caddy.ModuleID("caddy.storage." + w.id), New: func() caddy.Module { return w }}
}

func (w *watched) CertMagicStorage() (certmagic.Storage, error) { return w, nil }

func (w *watched) do(f func() error) error {
	w.operations.Add(1)
	time.Sleep(w.delay / 2)
	err := f()
	time.Sleep(w.delay / 2)
	return err
}

// vital is an operation whose error the module does not ignore.
func (w *watched) vital(f func() error) error {
	err := w.do(f)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.failed.Store(true)
	}
	return err
}

func (w *watched) Lock(ctx context.Context, name string) error {
	time.Sleep(w.behind)
	return w.vital(func() error { return w.Storage.Lock(ctx, name) })
}

func (w *watched) Unlock(ctx context.Context, name string) error {
	return w.do(func() error { return w.Storage.Unlock(ctx, name) })
}

func (w *watched) Load(ctx context.Context, key string) (value []byte, err error) {
	return value, w.vital(func() error {
		value, err = w.Storage.Load(ctx, key)
		return err
	})
}

func (w *watched) Store(ctx context.Context, key string, value []byte) error {
	return w.vital(func() error {
		if err := w.turns.commit(value); err != nil {
			return err
		}
		return w.Storage.Store(ctx, key, value)
	})
}
