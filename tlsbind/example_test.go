package tlsbind_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
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

// One server has several names, each with a configuration of its own. A client
// that resumes looks at no certificate, so a ticket for one name must not open
// under another, where other people may be let in.
func ExampleBinder() {
	rot := keyring.Static(keyring.DefaultPolicy.First(1, 1, time.Now()))

	// Only the certificates are borrowed from a test server.
	certified := httptest.NewTLSServer(http.NotFoundHandler())
	defer certified.Close()
	certs := certified.TLS.Certificates

	protocols := []string{"h2", "http/1.1"} // http.Server adds them to base alone
	sites := map[string]*tls.Config{
		"www.example.com":   {Certificates: certs, NextProtos: protocols},
		"admin.example.com": {Certificates: certs, NextProtos: protocols}, // and ClientAuth and ClientCAs, perhaps
	}
	base := &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		return sites[strings.ToLower(hello.ServerName)], nil // nil is base itself
	}}
	binder := tlsbind.Binder{Source: rot, PerName: true}
	bound, err := binder.Config(base)
	if err != nil {
		log.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", bound)
	if err != nil {
		log.Fatal(err)
	}
	srv := &http.Server{Handler: http.NotFoundHandler()}
	defer srv.Close()
	go srv.Serve(ln)

	tickets := tls.NewLRUClientSessionCache(1)
	for _, name := range []string{"www.example.com", "www.example.com", "admin.example.com"} {
		client := &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{
				ServerName: name, ClientSessionCache: oneFor{tickets},
				RootCAs: certified.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs,
			},
		}}
		res, err := client.Get("https://" + ln.Addr().String())
		if err != nil {
			log.Fatal(err)
		}
		res.Body.Close()
		fmt.Println(name, "resumed:", res.TLS.DidResume)
	}
	// Output:
	// www.example.com resumed: false
	// www.example.com resumed: true
	// admin.example.com resumed: false
}

// oneFor offers the same ticket whatever the name, as a hostile client does.
type oneFor struct{ tls.ClientSessionCache }

func (o oneFor) Get(string) (*tls.ClientSessionState, bool)  { return o.ClientSessionCache.Get("") }
func (o oneFor) Put(_ string, state *tls.ClientSessionState) { o.ClientSessionCache.Put("", state) }

// A server is bound last, when it is complete, and before it starts. Whether that
// was done shows only at a second server, or by a Check.
func ExampleBinder_Check() {
	rot := keyring.Static(keyring.DefaultPolicy.First(1, 1, time.Now()))

	// Only the certificate is borrowed from a test server.
	certified := httptest.NewTLSServer(http.NotFoundHandler())
	defer certified.Close()
	base := &tls.Config{Certificates: certified.TLS.Certificates}

	binder := tlsbind.Binder{Source: rot}
	bound, err := binder.Config(base)
	if err != nil {
		log.Fatal(err)
	}
	for _, config := range []*tls.Config{base, bound} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			log.Fatal(err)
		}
		srv := &http.Server{Handler: http.NotFoundHandler(), TLSConfig: config}
		defer srv.Close()
		go srv.ServeTLS(ln, "", "")

		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err = binder.Check(ctx, func(ctx context.Context, c *tls.Config) (io.Closer, error) {
			c.ServerName = "www.example.com"
			return (&tls.Dialer{Config: c}).DialContext(ctx, "tcp", ln.Addr().String())
		})
		cancel()
		fmt.Println("resumes with the ring's keys:", err == nil)
	}
	// Output:
	// resumes with the ring's keys: false
	// resumes with the ring's keys: true
}
