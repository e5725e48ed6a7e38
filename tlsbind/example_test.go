package tlsbind_test

import (
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/stekring/stekring/keyring"
	"github.com/stekring/stekring/tlsbind"
)

// Two servers share a ring, and the client that was at one resumes at the
// other. Here the Source is a ring that never changes; in a fleet it is a
// rotator, which keeps one fresh.
func Example() {
	src := keyring.Static(keyring.DefaultPolicy.First(1, 1, time.Now()))

	// Only the certificate is borrowed from a test server.
	certified := httptest.NewTLSServer(http.NotFoundHandler())
	defer certified.Close()
	base := &tls.Config{Certificates: certified.TLS.Certificates}

	roots := certified.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: roots, ServerName: "example.com",
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}}}
	for range 2 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			log.Fatal(err)
		}
		srv := &http.Server{
			Handler:   http.NotFoundHandler(),
			TLSConfig: tlsbind.Config(base, src),
		}
		defer srv.Close()
		go srv.ServeTLS(ln, "", "")

		res, err := client.Get("https://" + ln.Addr().String())
		if err != nil {
			log.Fatal(err)
		}
		res.Body.Close()
		fmt.Println("resumed:", res.TLS.DidResume)
	}
	// Output:
	// resumed: false
	// resumed: true
}
