package daemon

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/stekring/stekring/internal/status"
	"github.com/stekring/stekring/keyring/rotator"
)

// admin is the HTTP side: health, metrics, status. It changes nothing and shows
// no secret. The node is ready while unready returns nothing.
func admin(rot *rotator.Rotator, page *status.Page, address string, metrics http.Handler, unready func() []string, log *zap.Logger) *http.Server {
	host, _, _ := net.SplitHostPort(address)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	// A stale ring is no reason to leave the load balancer: TLS works all the
	// same, and the whole fleet is stale at once.
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if why := unready(); len(why) > 0 {
			http.Error(w, strings.Join(why, "\n"), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		_ = enc.Encode(rot.Status())
	})
	mux.Handle("GET /metrics", metrics)
	page.Register(mux)
	return &http.Server{Handler: knownHost(host, mux), ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, ErrorLog: quiet(log)}
}

// knownHost refuses names that a web page could have led a browser here by, but
// for what is asked by machines, who have their own names for this one.
func knownHost(configured string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		forMachines := r.URL.Path == "/metrics" || r.URL.Path == "/livez" || r.URL.Path == "/readyz"
		if !forMachines && host != "localhost" && host != configured && net.ParseIP(strings.Trim(host, "[]")) == nil {
			http.Error(w, "ask by address, or by the host of http.address", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
