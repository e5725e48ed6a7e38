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
	src := keyring.Static(keyring.DefaultPolicy.First(1, 1, time.Now()))

	// Only the certificate is borrowed from a test server.
	certified := httptest.NewTLSServer(http.NotFoundHandler())
	defer certified.Close()
	sites := map[string]*tls.Config{
		"www.example.com":   {Certificates: certified.TLS.Certificates},
		"admin.example.com": {Certificates: certified.TLS.Certificates},
	}
	base := &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		return sites[strings.ToLower(hello.ServerName)], nil // bound as well, each time
	}}
	binder := tlsbind.Binder{Source: src, PerName: true}
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
// worked shows only at a second server, or by a Check.
func ExampleBinder_Check() {
	src := keyring.Static(keyring.DefaultPolicy.First(1, 1, time.Now()))
	binder := tlsbind.Binder{Source: src}

	late := httptest.NewTLSServer(http.NotFoundHandler())
	defer late.Close()
	bound, err := binder.Config(late.TLS)
	if err != nil {
		log.Fatal(err)
	}
	late.TLS = bound // the server has started, and uses what it had then

	good := httptest.NewUnstartedServer(http.NotFoundHandler())
	defer good.Close()
	good.TLS = bound
	good.StartTLS()

	for _, srv := range []*httptest.Server{late, good} {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := binder.Check(ctx, func(ctx context.Context, c *tls.Config) (io.Closer, error) {
			return (&tls.Dialer{Config: c}).DialContext(ctx, "tcp", srv.Listener.Addr().String())
		})
		cancel()
		fmt.Println("resumes with the ring's keys:", err == nil)
	}
	// Output:
	// resumes with the ring's keys: false
	// resumes with the ring's keys: true
}
