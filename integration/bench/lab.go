package main

import (
	"context"
	"os"
	"path/filepath"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/keyring/seal"
)

// lab is what nodes in processes of their own share: an etcd and a KEK.
type lab struct {
	*server
	admin   *clientv3.Client
	kek     *seal.KEK
	kekFile string
}

// newLab starts an etcd. The caller ends it.
func newLab(ctx context.Context) (l *lab, err error) {
	l = &lab{kek: seal.NewKEK()}
	if l.server, err = startEtcd(ctx); err != nil {
		return nil, err
	}
	l.kekFile = filepath.Join(l.dir, "kek")
	if err = os.WriteFile(l.kekFile, l.kek.File(), 0o600); err == nil {
		l.admin, err = l.client()
	}
	if err != nil {
		l.server.end()
		return nil, err
	}
	return l, nil
}

func (l *lab) end() {
	l.admin.Close()
	l.server.end() // and its folder goes
}

// putRing writes a ring as if a leader had.
func (l *lab) putRing(ctx context.Context, name string, ring *keyring.Ring) error {
	r := rounds{admin: l.admin, kek: l.kek, ring: ring}
	_, err := r.put(ctx, fleet.NewLayout("", name).Ring())
	return err
}
