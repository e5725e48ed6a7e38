// Package etcdtest gives a test an etcd of its own.
package etcdtest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/stekring/stekring/internal/etcd"
)

// Etcd is an etcd that a test can take down and bring back.
type Etcd struct {
	t      testing.TB
	dir    string
	addr   string
	server *etcd.Server
}

// Start starts an etcd whose leases may be as short as one second. It ends with
// the test, after the clients that Client makes.
func Start(t testing.TB) *Etcd {
	t.Helper()
	e := &Etcd{t: t, dir: t.TempDir(), addr: "127.0.0.1:0"}
	e.Up()
	e.addr = e.server.Endpoint[len("http://"):]
	t.Cleanup(e.Down)
	return e
}

func (e *Etcd) Endpoint() string { return "http://" + e.addr }

// Up starts the server again, at the same address and with the same data.
func (e *Etcd) Up() {
	e.t.Helper()
	var err error
	for range 50 { // the port may linger
		if e.server, err = etcd.Start(e.t.Context(), e.dir, e.addr, 20*time.Millisecond, zap.NewNop()); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	e.t.Fatal(err)
}

// Down stops the server, if it is up.
func (e *Etcd) Down() {
	if e.server != nil {
		e.server.Close()
		e.server = nil
	}
}

// Wipe takes the server down, if it is up, and deletes its data.
func (e *Etcd) Wipe() {
	e.t.Helper()
	e.Down()
	if err := os.RemoveAll(e.data()); err != nil {
		e.t.Fatal(err)
	}
}

// Save restarts the server, and copies its data between. The function that it
// returns puts the copy back, for which it takes the server down, if it is up.
func (e *Etcd) Save() func() {
	e.t.Helper()
	saved := e.t.TempDir()
	e.Down()
	if err := os.CopyFS(saved, os.DirFS(e.data())); err != nil {
		e.t.Fatal(err)
	}
	e.Up()
	return func() {
		e.t.Helper()
		e.Wipe()
		if err := os.CopyFS(e.data(), os.DirFS(saved)); err != nil {
			e.t.Fatal(err)
		}
	}
}

// data is where the server keeps its data.
func (e *Etcd) data() string { return filepath.Join(e.dir, "etcd") }

// Client returns a new client, which is closed at the end of the test if it is
// not before.
func (e *Etcd) Client() *clientv3.Client {
	e.t.Helper()
	c, err := etcd.Dial(etcd.Options{Endpoints: []string{e.Endpoint()}})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = c.Close() })
	return c
}
