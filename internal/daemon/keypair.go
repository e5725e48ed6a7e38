package daemon

import (
	"crypto/tls"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

// keypair is a certificate that follows its files. A pair of files that does
// not load, as happens while one of them is being replaced, leaves the last
// good one in use.
type keypair struct {
	certFile, keyFile string
	log               *zap.Logger

	mu     sync.Mutex
	cert   *tls.Certificate
	stamps [2]time.Time // of the files that cert was read from
	next   time.Time    // when to look at them again
}

// loadKeypair reads the files for the first time.
func loadKeypair(certFile, keyFile string, log *zap.Logger) (*keypair, error) {
	k := &keypair{certFile: certFile, keyFile: keyFile, log: log}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	k.cert, k.stamps = &cert, k.stat()
	return k, nil
}

func (k *keypair) stat() (s [2]time.Time) {
	for i, f := range []string{k.certFile, k.keyFile} {
		if st, err := os.Stat(f); err == nil {
			s[i] = st.ModTime()
		}
	}
	return s
}

// get returns the certificate; it looks at the files once a second at most.
func (k *keypair) get() (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if k.certFile == "" || now.Before(k.next) {
		return k.cert, nil
	}
	k.next = now.Add(time.Second)
	stamps := k.stat()
	if stamps == k.stamps {
		return k.cert, nil
	}
	k.stamps = stamps
	cert, err := tls.LoadX509KeyPair(k.certFile, k.keyFile)
	if err != nil {
		k.log.Error("certificate not reloaded; keeping the last good one", zap.String("cert_file", k.certFile), zap.Error(err))
		k.stamps = [2]time.Time{} // try again, even if nothing changes
		return k.cert, nil
	}
	k.log.Info("certificate reloaded", zap.String("cert_file", k.certFile))
	k.cert = &cert
	return k.cert, nil
}
