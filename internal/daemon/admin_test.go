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
		r := httptest.NewRequest("GET", "/livez", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("Host %q: %d, want %d", host, w.Code, want)
		}
	}
}
