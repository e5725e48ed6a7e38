package integration

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// visitor is a TLS client with one ticket, which it offers at whatever node it
// visits. It is its own tls.ClientSessionCache.
type visitor struct {
	t      *testing.T
	roots  *x509.CertPool
	max    uint16 // TLS version, 0 for the newest
	keep   bool   // the ticket it has, whatever it is offered
	ticket *tls.ClientSessionState

	insecure bool // takes any certificate
}

func (s *site) visitor() *visitor { return &visitor{t: s.t, roots: s.roots} }

func (v *visitor) Get(string) (*tls.ClientSessionState, bool) { return v.ticket, v.ticket != nil }

func (v *visitor) Put(_ string, t *tls.ClientSessionState) {
	if !v.keep {
		v.ticket = t
	}
}

// visit is one connection.
type visit struct {
	tls  tls.ConnectionState
	body string
	page map[string]string // the body's name=value lines
}

// visit makes one connection with one request. The ticket comes with the answer.
func (v *visitor) visit(address string, change ...func(*http.Request)) visit {
	v.t.Helper()
	got, err := v.try(address, change...)
	if err != nil {
		v.t.Fatalf("visiting %s: %v", address, err)
	}
	return got
}

func (v *visitor) try(address string, change ...func(*http.Request)) (visit, error) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: &tls.Config{
		ServerName: "localhost", RootCAs: v.roots, MaxVersion: v.max, ClientSessionCache: v, InsecureSkipVerify: v.insecure,
	}}
	raw, err := d.DialContext(v.t.Context(), "tcp", address)
	if err != nil {
		return visit{}, err
	}
	conn := raw.(*tls.Conn)
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	r, err := http.NewRequest(http.MethodGet, "https://localhost/", nil)
	if err != nil {
		return visit{}, err
	}
	r.Close = true
	for _, f := range change {
		f(r)
	}
	if err := r.Write(conn); err != nil {
		return visit{}, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), r)
	if err != nil {
		return visit{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return visit{tls: conn.ConnectionState(), body: string(body), page: facts(string(body))}, err
}

// facts returns the lines of a page.
func facts(page string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(page) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			m[name] = value
		}
	}
	return m
}

// resumes visits a node and checks whether it resumes, by the client's own word
// and by the page's.
func (v *visitor) resumes(p *process, want bool) visit {
	v.t.Helper()
	got := v.visit(p.tlsAddress())
	page := map[bool]string{true: "true", false: "false"}[want]
	if got.tls.DidResume != want || got.page["resumed"] != page || got.page["node"] != p.id {
		v.t.Errorf("%s: resumed %t, page says\n%swant %t", p.id, got.tls.DidResume, got.body, want)
	}
	return got
}
