package integration

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/etcd/etcdtest"
	"github.com/stekring/stekring/keyring"
)

func TestStartsWithoutEtcd(t *testing.T) {
	t.Parallel()
	for name, ring := range map[string]bool{"no ring yet": false, "a ring": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etcd := etcdtest.Start(t)
			s := newSite(t, etcd.Endpoint())
			if ring {
				rec, err := s.kek().Seal(ringPath, keyring.Policy{Interval: interval, TicketLifetime: lifetime}.First(1, 7, time.Now()))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := etcd.Client().Put(t.Context(), ringPath, string(rec)); err != nil {
					t.Fatal(err)
				}
			}
			etcd.Down()

			start := time.Now()
			p := s.run("a")
			v := s.visitor()
			got := v.resumes(p, false)
			took := time.Since(start)
			t.Logf("TLS served %.2fs after the start", took.Seconds())
			if took > 3*time.Second {
				t.Errorf("TLS served after %v, want at once", took)
			}
			if got.page["local"] != "true" || got.page["version"] != "0" {
				t.Errorf("without etcd the page says\n%s", got.body)
			}
			// Long enough for every pause between tries to have grown to its longest.
			for down := time.Now(); time.Since(down) < 5*time.Second; time.Sleep(100 * time.Millisecond) {
				v.resumes(p, true)
			}
			if code, body := p.get("/readyz"); code != http.StatusOK {
				t.Errorf("/readyz without etcd: %d %s", code, body)
			}

			etcd.Up()
			start = time.Now()
			p.share()
			took = time.Since(start)
			t.Logf("ring used %.2fs after etcd was there", took.Seconds())
			if took > arrival {
				t.Errorf("ring used after %v, want at most %v", took, arrival)
			}
			// What was sealed before is still good, and what is sealed now is the fleet's.
			if got := v.resumes(p, true); got.page["local"] != "false" || ring == (got.page["version"] == "1") {
				t.Errorf("with etcd the page says\n%s", got.body)
			}
		})
	}
}

// TestStartsWithTheRing has a client come the moment a node serves that takes
// its time to reach etcd. That the node has just started is nothing to notice.
func TestStartsWithTheRing(t *testing.T) {
	t.Parallel()
	s := newSite(t, etcdtest.Start(t).Endpoint())
	v := s.visitor()
	v.resumes(s.fleet("a")[0], false)
	s.endpoint = distant(t, s.endpoint)
	if got := v.resumes(s.run("b"), true); got.page["local"] != "false" {
		t.Errorf("b has just started:\n%s", got.body)
	}
}

// TestStopsBeforeItServes is asked to stop while it waits for the ring.
func TestStopsBeforeItServes(t *testing.T) {
	t.Parallel()
	s := newSite(t, nobody)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p := s.run("a", func(c *config.Config) { c.Listeners[0].Address = taken.Addr().String() })
	p.hear("serving HTTP", 1)
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("exit %d, want 0: it was asked to", code)
	}
}

// distant returns an endpoint at which the etcd of another answers late at first.
func distant(t *testing.T, endpoint string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); _ = ln.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer client.Close()
				time.Sleep(500 * time.Millisecond)
				server, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "http://"))
				if err != nil {
					return
				}
				defer server.Close()
				defer context.AfterFunc(ctx, func() { _ = client.Close(); _ = server.Close() })()
				wg.Go(func() { _, _ = io.Copy(server, client) })
				_, _ = io.Copy(client, server)
			})
		}
	})
	return "http://" + ln.Addr().String()
}
