package page_test

import (
	"crypto/tls"
	"io"
	"net"
	"regexp"
	"sync"
	"testing"
	"time"
)

// traffic has clients come back to a node until the test ends.
func (s *site) traffic(p *process) {
	s.t.Helper()
	m := regexp.MustCompile(`"serving TLS".*"address":"([^"]+)"`).FindStringSubmatch(p.text())
	if m == nil {
		s.t.Fatalf("%s serves no TLS", p.id)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			config := &tls.Config{ServerName: "localhost", InsecureSkipVerify: true}
			for n := 0; ; n++ {
				if n%12 == 0 { // somebody new
					config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
				}
				visit(s.t, m[1], config)
				select {
				case <-time.After(50 * time.Millisecond):
				case <-stop:
					return
				}
			}
		})
	}
	s.t.Cleanup(func() { close(stop); wg.Wait() })
}

func visit(t *testing.T, address string, config *tls.Config) {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", address, config)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	_, _ = io.Copy(io.Discard, c)
}
