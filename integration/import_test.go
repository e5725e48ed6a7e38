package integration

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/gob"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
)

// steks writes a record as Caddy's module has it, and returns its keys.
func (s *site) steks() (keys [][32]byte, file string) {
	s.t.Helper()
	record := struct {
		Keys                       [][32]byte
		LastRotation, NextRotation time.Time
	}{make([][32]byte, 3), time.Now(), time.Now().Add(interval)}
	for i := range record.Keys {
		rand.Read(record.Keys[i][:])
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(record); err != nil {
		s.t.Fatal(err)
	}
	file = filepath.Join(s.dir, "stek.bin")
	s.write(file, b.Bytes())
	return record.Keys, file
}

// TestImport moves a site from Caddy to here: tickets that a server with
// Caddy's keys gave resume at nodes that know of them by its record alone.
func TestImport(t *testing.T) {
	t.Parallel()
	etcd := etcdtest.Start(t)
	s := newSite(t, etcd.Endpoint())
	cert := s.certify()
	keys, file := s.steks()

	caddy := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	caddy.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	caddy.TLS.SetSessionTicketKeys(keys)
	caddy.StartTLS()
	t.Cleanup(caddy.Close)
	v := s.visitor()
	if got := v.visit(caddy.Listener.Addr().String()); got.tls.DidResume {
		t.Error("resumed without a ticket")
	}
	v.keep = true

	operator := s.configure("operator")
	if out := mustRun(t, "import", "--config", operator, file); out != "epoch 1 version 1 at "+ringPath+": 4 keys\n" {
		t.Errorf("import printed %q", out)
	}
	for _, p := range s.fleet("a", "b") {
		v.resumes(p, true)
	}

	refused := func(want string, args ...string) {
		t.Helper()
		out, bad, code := stekring(t, append([]string{"import"}, args...)...)
		if code != 1 || out != "" || !strings.Contains(bad, want) {
			t.Errorf("import %v: exit %d, %q, %q; want exit 1 and %q", args, code, out, bad, want)
		}
	}
	refused("there is a ring already", "--config", operator, file)
	refused("malformed", "--config", operator, s.kekFile)
	refused("must be a regular file", "--config", operator, s.dir)
	refused("no such file", "--config", operator, file+".gone")

	// Where the ring is lost but nodes remember it, it is theirs to write.
	elsewhere := func(c *config.Config) { c.Ring = "other" }
	if _, err := etcd.Client().Put(t.Context(), "/stekring/other/nodes/a", "{}"); err != nil {
		t.Fatal(err)
	}
	refused("nodes of this ring are running", "--config", s.configure("other", elsewhere), file)
}
