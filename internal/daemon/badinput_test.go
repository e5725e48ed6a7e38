package daemon

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/stekring/stekring/internal/fleet"
	"github.com/stekring/stekring/internal/status"
	"github.com/stekring/stekring/tlsbind/metrics"
)

// serveAdmin serves the HTTP side of a node without etcd until the test ends.
func serveAdmin(t *testing.T, change ...func(*http.Server)) (address string) {
	t.Helper()
	rot := alone(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := metrics.New(rot)
	page := status.New(status.Config{Node: rot, Layout: fleet.NewLayout("", "test"), Build: "test", Tickets: m})
	srv := admin(rot, page, ln.Addr().String(), exposition(m, "test", "test", new(atomic.Int64)), func() []string { return nil }, zap.NewNop())
	for _, f := range change {
		f(srv)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return ln.Addr().String()
}

// exchange sends all of a request, as it is, and returns all that comes back
// before the server closes the connection.
func exchange(t *testing.T, address, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(time.Minute)) // for a server that never does
	go func() { _, _ = io.WriteString(c, request) }()  // which it may not read to its end
	b, err := io.ReadAll(c)
	if len(b) == 0 && err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("reading the answer to %.40q: %v", request, err)
	}
	return string(b)
}

// paths are all that there are.
var paths = []string{"/", "/events", "/status.css", "/livez", "/readyz", "/api/v1/status", "/metrics"}

// TestBadInput is the list of what the HTTP side may be asked. It changes
// nothing, so that most of it has nothing to be wrong about.
// Rows have one numbering in all packages: C is configuration, V a ring's value
// in etcd, K what is typed, A what HTTP is asked, E what etcd answers.
func TestBadInput(t *testing.T) {
	for _, row := range []struct {
		name string
		test func(*testing.T)
		skip string
	}{
		{"A1 another method", otherMethods, ""},
		{"A2 no token", nil, "by design: what it shows is no secret, and it listens on the loopback; open to others it is C26"},
		{"A3 Host of another site", otherHosts, ""},
		{"A4 large or slow", largeOrSlow, ""},
		{"A5 bad JSON", nil, "not built: HTTP changes nothing and reads no body"},
		{"A6 unknown path", unknownPaths, ""},
		{"A7 a thousand rotations a second", nil, "not built: HTTP changes nothing; those through etcd are held apart by the time a staged key settles: keyring/rotator TestPlan (rotate too soon)"},
		{"A8 rotation at a follower", nil, "not built: HTTP changes nothing; requests go through etcd to whoever leads"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.skip != "" {
				t.Skip(row.skip)
			}
			row.test(t)
		})
	}
}

// ask returns the answer to a request for a path as it is.
func ask(t *testing.T, method, address, path, body string) *http.Response {
	t.Helper()
	got := exchange(t, address, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", method, path, address, len(body), body))
	r, err := http.ReadResponse(bufio.NewReader(strings.NewReader(got)), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	_ = r.Body.Close()
	return r
}

func otherMethods(t *testing.T) {
	address := serveAdmin(t)
	for _, path := range paths {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "ROTATE"} {
			if r := ask(t, method, address, path, ""); r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow %q; want 405 and GET, HEAD", method, path, r.StatusCode, r.Header.Get("Allow"))
			}
		}
		if r := ask(t, "HEAD", address, path, ""); r.StatusCode != http.StatusOK {
			t.Errorf("HEAD %s: %d", path, r.StatusCode)
		}
	}
	for _, path := range []string{"/rotate", "/revoke", "/api/v1/rotate"} {
		if r := ask(t, "POST", address, path, ""); r.StatusCode != http.StatusNotFound {
			t.Errorf("POST %s: %d, want 404", path, r.StatusCode)
		}
	}
}

// otherHosts has the whole server do what TestKnownHost has one handler do.
func otherHosts(t *testing.T) {
	address := serveAdmin(t)
	for _, path := range []string{"/", "/events", "/api/v1/status", "/unknown"} {
		for request, want := range map[string]string{
			"GET " + path + " HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n":                          " 421 ",
			"GET http://evil.test" + path + " HTTP/1.1\r\nHost: " + address + "\r\nConnection: close\r\n\r\n":    " 421 ",
			"GET " + path + " HTTP/1.1\r\nHost: evil.test\r\nHost: " + address + "\r\nConnection: close\r\n\r\n": " 400 ",
			"GET " + path + " HTTP/1.1\r\n\r\n": " 400 ",
			"GET " + path + " HTTP/1.0\r\n\r\n": " 421 ",
		} {
			if got, _, _ := strings.Cut(exchange(t, address, request), "\r\n"); !strings.Contains(got, want) {
				t.Errorf("%q: %s, want%s", request, got, want)
			}
		}
	}
}

func largeOrSlow(t *testing.T) {
	large := strings.Repeat("x", 5<<20)
	address := serveAdmin(t)
	for _, path := range paths {
		if r := ask(t, "POST", address, path, large); r.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST of 5 MB to %s: %d, want 405", path, r.StatusCode)
		}
	}
	if got := exchange(t, address, "GET / HTTP/1.1\r\nHost: "+address+"\r\nX: "+large); got != "" && !strings.Contains(got, " 431 ") {
		t.Errorf("a header of 5 MB: %.100q, want 431", got)
	}

	// Each of these ends, if only the server's own patience is shortened.
	address = serveAdmin(t, func(s *http.Server) {
		if s.ReadTimeout <= 0 || s.ReadTimeout > 10*time.Second || s.WriteTimeout <= 0 {
			t.Errorf("timeouts %v and %v, want some", s.ReadTimeout, s.WriteTimeout)
		}
		s.ReadTimeout = 2 * time.Second
	})
	var wg sync.WaitGroup
	head := " / HTTP/1.1\r\nHost: " + address + "\r\n"
	for _, c := range []struct{ name, request, want string }{
		{"nothing", "", ""},
		{"half a line", "GET /li", ""},
		{"half a header", "GET" + head, ""},
		{"half a body", "POST" + head + "Content-Length: 1000\r\n\r\nabc", " 405 "},
		{"half a body where there is none", "GET" + head + "Content-Length: 1000\r\n\r\nabc", " 200 "},
		{"a chunk without an end", "POST" + head + "Transfer-Encoding: chunked\r\n\r\nfffff\r\nabc", " 405 "},
		{"and no more", "GET" + head + "\r\n", " 200 "},
	} {
		wg.Go(func() {
			if got, _, _ := strings.Cut(exchange(t, address, c.request), "\r\n"); !strings.Contains(got, c.want) {
				t.Errorf("%s: %q, want%s", c.name, got, c.want)
			}
		})
	}
	wg.Wait()
}

func unknownPaths(t *testing.T) {
	address := serveAdmin(t)
	for path, want := range map[string]string{
		"/unknown": "", "/livez/": "", "/api/v1/": "", "/debug/pprof/": "", "/..%2f..%2fetc/passwd": "", "/%00": "", "/livez%2f..%2f": "",
		// These are led to the path that they are, below this host.
		"//": "/", "//livez": "/livez", "/./livez": "/livez", "/../etc/passwd": "/etc/passwd", "/api/../../livez": "/livez", "//evil.test/..": "/",
	} {
		r := ask(t, "GET", address, path, "")
		if got := r.Header.Get("Location"); got != want || want == "" && r.StatusCode != http.StatusNotFound || want != "" && r.StatusCode/100 != 3 {
			t.Errorf("GET %s: %d to %q, want %q", path, r.StatusCode, got, want)
		}
	}
}
