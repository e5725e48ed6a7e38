package status

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stekring/stekring/internal/etcd/memory"
	"github.com/stekring/stekring/keyring/rotator"
	"github.com/stekring/stekring/keyring/seal"
	"github.com/stekring/stekring/tlsbind/metrics"
)

// TestStreamOutlivesTimeouts has a server with less patience than the daemon's.
func TestStreamOutlivesTimeouts(t *testing.T) {
	client := memory.New().Client()
	defer client.Close()
	node, err := rotator.New(rotator.Config{Client: client, Ring: "www", KEK: seal.NewKEK()})
	if err != nil {
		t.Fatal(err)
	}
	p := New(Config{Node: node, Etcd: client.KV, Layout: layout, Build: "v1", Tickets: metrics.New(node)})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { p.Run(ctx) })
	mux := http.NewServeMux()
	p.Register(mux)
	srv := httptest.NewUnstartedServer(mux)
	srv.Config.ReadTimeout, srv.Config.WriteTimeout = 200*time.Millisecond, 200*time.Millisecond
	srv.Start()
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	until := func(what string) bool {
		for lines.Scan() {
			if strings.Contains(lines.Text(), what) {
				return true
			}
		}
		return false
	}
	if !until("</main>") {
		t.Fatal("no frame")
	}
	time.Sleep(500 * time.Millisecond)
	p.mu.Lock()
	p.journal.add(time.Now(), "ring", "something new")
	p.mu.Unlock()
	signal(p.woken)
	if !until("something new") {
		t.Errorf("the stream ended: %v", lines.Err())
	}
	cancel()
	if until("\x00") || lines.Err() != nil {
		t.Errorf("the end of the stream: %v", lines.Err())
	}
	wg.Wait()
}

// TestHeaders is what a browser is told of each part.
func TestHeaders(t *testing.T) {
	inMemory(t, func(t *testing.T, s *site) {
		for path, kind := range map[string]string{
			"/": "text/html; charset=utf-8", "/events": "text/event-stream", "/status.css": "text/css; charset=utf-8",
			"/status.js": "text/javascript; charset=utf-8", "/status.svg": "image/svg+xml",
		} {
			a := s.get(path)
			for name, want := range map[string]string{
				"Content-Type": kind, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			} {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s: %s is %q, want %q", path, name, got, want)
				}
			}
			if got := a.header.Get("Cache-Control"); got != "no-store" && (got != "no-cache" || a.header.Get("ETag") == "") {
				t.Errorf("%s: Cache-Control is %q", path, got)
			}
			for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
				if got := a.header.Get("Content-Security-Policy"); !strings.Contains(got, want) || strings.Contains(got, "unsafe") {
					t.Errorf("%s: the policy is %q, want %s", path, got, want)
				}
			}
			if body := a.taken(); strings.Contains(body, " style=") || strings.Contains(body, "<style") {
				t.Errorf("%s has what its policy forbids", path)
			}
		}
	})
}
