package config

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stekring/stekring/keyring/seal"
)

// certificate returns a self-signed certificate and its key.
func certificate(t *testing.T, from, to time.Duration) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signed(t, private, from, to)
}

// signed returns a certificate that a key has signed for itself, and the key.
func signed(t *testing.T, private crypto.Signer, from, to time.Duration) (cert, key []byte) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	key, err = x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
}

func TestCheckFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, key := certificate(t, -time.Hour, time.Hour)
	oldCert, oldKey := certificate(t, -2*time.Hour, -time.Hour)
	newCert, newKey := certificate(t, time.Hour, 2*time.Hour)
	c := &Config{
		Etcd: Etcd{
			CAFile: file("ca", cert), CertFile: file("cert", cert), KeyFile: file("key", key),
			Username: "u", PasswordFile: file("password", []byte("hunter2\n")),
		},
		Seal:      Seal{KEKFile: file("kek", seal.NewKEK().File())},
		Listeners: []Listener{{CertFile: file("cert", cert), KeyFile: file("key", key)}, {Address: ":1"}},
	}
	match(t, problems(t, c.CheckFiles()), nil)

	old, coming := file("old", oldCert), file("new", newCert)
	c = &Config{
		Etcd: Etcd{
			CAFile: file("ca", key), CertFile: old, KeyFile: file("old-key", oldKey),
			PasswordFile: file("password", []byte(" \n")),
		},
		Seal: Seal{KEKFile: file("kek", []byte("k1:hunter2"))},
		Listeners: []Listener{
			{CertFile: coming, KeyFile: file("new-key", newKey)},
			{CertFile: file("cert", cert), KeyFile: file("new-key", newKey)},
			{CertFile: file("cert", cert), KeyFile: filepath.Join(dir, "none")},
			{CertFile: dir, KeyFile: file("key", key)},
			{CertFile: file("junk", []byte("hunter2")), KeyFile: file("key", key)},
		},
	}
	match(t, problems(t, c.CheckFiles()), []string{
		`seal.kek_file: "`,
		`ca": holds no certificate in PEM`,
		`password": is empty`,
		`private key does not match public key`,
		`none": no such file or directory`,
		`must be a regular file`,
		`failed to find any PEM data in certificate input`,
	})

	match(t, c.Warnings, []string{
		`etcd.cert_file: "` + old + `": expired `,
		`listeners[0].cert_file: "` + coming + `": not valid before `,
	})

	c = &Config{Etcd: Etcd{PasswordFile: file("password", bytes.Repeat([]byte("a"), maxPassword+1))}, Seal: Seal{KEKFile: os.DevNull}}
	match(t, problems(t, c.CheckFiles()), []string{"must be a regular file", "must be at most 4096 bytes"})
}

// TestCheckFilesKnowsKeys has a certificate for each kind of key.
func TestCheckFilesKnowsKeys(t *testing.T) {
	key := func(k crypto.Signer, err error) crypto.Signer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	for _, c := range []struct {
		name, warning string
		key           crypto.Signer
	}{
		{"P-224", ": TLS 1.3 cannot use it: unsupported certificate curve (P-224); get one for another key, such as ECDSA P-256", key(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))},
		{"P-256", "", key(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))},
		{"P-384", "", key(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))},
		{"P-521", "", key(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))},
		{"RSA", "", key(rsa.GenerateKey(rand.Reader, 2048))},
		{"Ed25519", "", key(edwards, err)},
	} {
		cert, private := signed(t, c.key, -time.Hour, time.Hour)
		l := Listener{CertFile: file(t, cert), KeyFile: file(t, private)}
		t.Log(c.name)
		warning := c.warning
		if warning != "" {
			warning = fmt.Sprintf("listeners[0].cert_file: %q", l.CertFile) + warning
		}
		checks(t, &Config{Listeners: []Listener{l}}, "", warning)
	}
}
