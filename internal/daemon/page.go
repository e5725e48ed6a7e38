package daemon

import (
	"crypto/tls"
	"fmt"
	"net/http"

	"github.com/stekring/stekring/keyring/rotator"
)

// Page answers every request with what a person wants to know of the connection
// it came on, one name=value a line.
func Page(rot *rotator.Rotator) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := rot.Status()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		fmt.Fprintf(w, "node=%s\nresumed=%t\nkey=%s\nlocal=%t\nepoch=%d\nversion=%d\ntls=%s\nprotocol=%s\n",
			s.ID, r.TLS != nil && r.TLS.DidResume, s.Sealing, s.Local, s.Info.Epoch, s.Info.Version, tlsVersion(r), r.Proto)
	})
}

func tlsVersion(r *http.Request) string {
	if r.TLS == nil {
		return "none"
	}
	return tls.VersionName(r.TLS.Version)
}
