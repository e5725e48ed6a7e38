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

// CheckFiles reads every file that c names and reports, as an [*Error], those
// that are of no use. Files can change afterwards, so that whoever uses them has
// to expect errors all the same.
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
	check("etcd.cert_file", c.Etcd.CertFile, pairWith(c.Etcd.KeyFile))
	for i, l := range c.Listeners {
		check(fmt.Sprintf("listeners[%d].cert_file", i), l.CertFile, pairWith(l.KeyFile))
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
	b, err := readFile(file, maxFile)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(b) {
		return errors.New("holds no certificate in PEM")
	}
	return err
}

func checkPassword(file string) error {
	b, err := readFile(file, maxPassword)
	if err == nil && strings.TrimSpace(string(b)) == "" {
		return errors.New("is empty; write the password into it")
	}
	return err
}

// pairWith returns a check of a certificate with the key in keyFile.
func pairWith(keyFile string) func(string) error {
	return func(certFile string) error {
		cert, err := readFile(certFile, maxFile)
		if err != nil {
			return err
		}
		key, err := readFile(keyFile, maxFile)
		if err != nil {
			return fmt.Errorf("its key %s: %s", strconv.Quote(keyFile), cause(err))
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return fmt.Errorf("with key %s: %w", strconv.Quote(keyFile), err)
		}
		switch now := time.Now(); {
		case now.After(pair.Leaf.NotAfter):
			return fmt.Errorf("expired %s; renew it", pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
		case now.Before(pair.Leaf.NotBefore):
			return fmt.Errorf("not valid before %s; check the clock", pair.Leaf.NotBefore.UTC().Format(time.RFC3339))
		}
		return nil
	}
}

// readFile refuses what would block or never end, a pipe or a device.
func readFile(file string, most int64) ([]byte, error) {
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
	return strings.TrimPrefix(err.Error(), "seal: ")
}
