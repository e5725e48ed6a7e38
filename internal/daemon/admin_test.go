package daemon

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestKnownHost is a web page whose name leads to the loopback.
func TestKnownHost(t *testing.T) {
	h := knownHost("node-1", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for host, want := range map[string]int{
		"127.0.0.1:9474": 200, "[::1]:9474": 200, "10.0.0.7": 200, "localhost:9474": 200, "node-1:9474": 200,
		"evil.test": 421, "evil.test:9474": 421, "": 421, "localhost.evil.test": 421,
	} {
		for path, want := range map[string]int{
			"/": want, "/events": want, "/api/v1/status": want, "/metrics/": want, "/metrics": 200, "/livez": 200, "/readyz": 200,
		} {
			r := httptest.NewRequest("GET", path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("Host %q: %s: %d, want %d", host, path, w.Code, want)
			}
		}
	}
}
