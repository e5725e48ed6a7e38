package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/stekring/stekring/keyring/seal"
)

const maxPassword = 4 << 10

// tls13 is a peer that takes every kind of key that TLS 1.3 can sign with.
var tls13 = &tls.ClientHelloInfo{
	SupportedVersions: []uint16{tls.VersionTLS13},
	SignatureSchemes: []tls.SignatureScheme{
		tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512, tls.PSSWithSHA256, tls.Ed25519,
	},
}

// CheckFiles reads every file that c names and reports, as an [*Error], those
// that are of no use. Files can change afterwards, so that whoever uses them has
// to expect errors all the same. A certificate that has expired, or is of the
// future, is a warning: the clock may be wrong, and other sites are not to
// suffer for one. So is one whose key TLS 1.3 cannot use.
func (c *Config) CheckFiles() error {
	e := &Error{}
	check := func(field, file string, use func(string) error) {
		if file == "" {
			return
		}
		if err := use(file); err != nil {
			e.Problems = append(e.Problems, fmt.Sprintf("%s: %s: %s", field, strconv.Quote(file), cause(err)))
		}
	}
	check("seal.kek_file", c.Seal.KEKFile, checkKEK)
	check("etcd.ca_file", c.Etcd.CAFile, checkCA)
	check("etcd.password_file", c.Etcd.PasswordFile, checkPassword)
	pair := func(field, certFile, keyFile string) {
		check(field, certFile, func(string) error {
			cert, err := readPair(certFile, keyFile)
			if err != nil {
				return err
			}
			if err := tls13.SupportsCertificate(cert); err != nil {
				c.warn("%s: %q: TLS 1.3 cannot use it: %s; get one for another key, such as ECDSA P-256", field, certFile, cause(err))
			}
			leaf := cert.Leaf
			switch now := time.Now(); {
			case now.After(leaf.NotAfter):
				c.warn("%s: %q: expired %s; renew it", field, certFile, leaf.NotAfter.UTC().Format(time.RFC3339))
			case now.Before(leaf.NotBefore):
				c.warn("%s: %q: not valid before %s; check the clock", field, certFile, leaf.NotBefore.UTC().Format(time.RFC3339))
			}
			return nil
		})
	}
	pair("etcd.cert_file", c.Etcd.CertFile, c.Etcd.KeyFile)
	for i, l := range c.Listeners {
		pair(fmt.Sprintf("listeners[%d].cert_file", i), l.CertFile, l.KeyFile)
	}
	if len(e.Problems) > 0 {
		return e
	}
	return nil
}

func checkKEK(file string) error {
	if err := regular(file); err != nil {
		return err
	}
	_, err := seal.LoadKEK(file)
	return err
}

func checkCA(file string) error {
	b, err := ReadFile(file, maxFile)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(b) {
		return errors.New("holds no certificate in PEM")
	}
	return err
}

func checkPassword(file string) error {
	b, err := ReadFile(file, maxPassword)
	if err == nil && strings.TrimSpace(string(b)) == "" {
		return errors.New("is empty; write the password into it")
	}
	return err
}

func (c *Config) warn(format string, a ...any) {
	c.Warnings = append(c.Warnings, fmt.Sprintf(format, a...))
}

// readPair reads a pair of files that belong together.
func readPair(certFile, keyFile string) (*tls.Certificate, error) {
	cert, err := ReadFile(certFile, maxFile)
	if err != nil {
		return nil, err
	}
	key, err := ReadFile(keyFile, maxFile)
	if err != nil {
		return nil, fmt.Errorf("its key %s: %s", strconv.Quote(keyFile), cause(err))
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("with key %s: %w", strconv.Quote(keyFile), err)
	}
	return &pair, nil
}

// ReadFile reads a regular file of at most so many bytes. It refuses what would
// block or never end, a pipe or a device. Its errors do not name the file.
func ReadFile(file string, most int64) ([]byte, error) {
	if err := regular(file); err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, errors.New(cause(err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, errors.New(cause(err))
	case int64(len(b)) > most:
		return nil, fmt.Errorf("must be at most %d bytes", most)
	}
	return b, nil
}

func regular(file string) error {
	st, err := os.Stat(file)
	switch {
	case err != nil:
		return errors.New(cause(err))
	case !st.Mode().IsRegular():
		return errors.New("must be a regular file")
	}
	return nil
}

// cause drops the path that a file error repeats, and package names of others.
func cause(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "seal: "), "tls: ")
}
