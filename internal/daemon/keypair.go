package daemon

import (
	"crypto/tls"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// keypair is a certificate that follows its files. A pair of files that does
// not load, as happens while one of them is being replaced, leaves the last
// good one in use.
type keypair struct {
	certFile, keyFile string
	log               *zap.Logger
	cert              atomic.Pointer[tls.Certificate]
	renewed           chan struct{} // has one when cert is another

	mu     sync.Mutex   // held by the one that looks at the files
	stamps [2]time.Time // of the files that cert was read from
	next   time.Time    // when to look at them again
	broken string       // why they could not be read last time
}

// loadKeypair reads the files for the first time.
func loadKeypair(certFile, keyFile string, log *zap.Logger) (*keypair, error) {
	k := &keypair{certFile: certFile, keyFile: keyFile, log: log, renewed: make(chan struct{}, 1)}
	k.stamps = k.stat() // before they are read: what changes in between is read again
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	k.cert.Store(&cert)
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

// get returns the certificate. It looks at the files once a second at most, and
// lets no second handshake wait for a file system that hangs.
func (k *keypair) get() *tls.Certificate {
	if k.certFile == "" || !k.mu.TryLock() {
		return k.cert.Load()
	}
	defer k.mu.Unlock()
	if now := time.Now(); now.After(k.next) {
		k.next = now.Add(time.Second)
		if stamps := k.stat(); stamps != k.stamps {
			k.reload(stamps)
		}
	}
	return k.cert.Load()
}

func (k *keypair) reload(stamps [2]time.Time) {
	cert, err := tls.LoadX509KeyPair(k.certFile, k.keyFile)
	if err != nil { // and try again, even if nothing changes
		if err.Error() == k.broken {
			return
		}
		k.broken = err.Error()
		k.log.Error("certificate not reloaded; keeping the last good one", zap.String("cert_file", k.certFile), zap.Error(err))
		return
	}
	k.stamps, k.broken = stamps, ""
	k.cert.Store(&cert)
	select {
	case k.renewed <- struct{}{}:
	default: // a handshake waits for nobody
	}
	k.log.Info("certificate reloaded", zap.String("cert_file", k.certFile))
}
