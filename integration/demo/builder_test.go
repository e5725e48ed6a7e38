package main

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBuilder builds the image in a builder image, such as golang:1.26, and wants
// the very binary that this machine's Go makes.
func TestBuilder(t *testing.T) {
	if !*compose || *builder == "" {
		t.Skip("needs a builder image: go test ./integration/demo -compose -builder golang:1.26")
	}
	d, err := find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var sums [][sha256.Size]byte
	for _, in := range []string{*builder, ""} {
		if err := d.build(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		id, err := d.run(t.Context(), nil, "docker", "create", image)
		if err != nil {
			t.Fatal(err)
		}
		id = strings.TrimSpace(id)
		file := filepath.Join(t.TempDir(), "stekring")
		_, err = d.run(t.Context(), nil, "docker", "cp", id+":/stekring", file)
		if _, also := d.run(t.Context(), nil, "docker", "rm", id); err != nil || also != nil {
			t.Fatal(err, also)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, sha256.Sum256(b))
	}
	if sums[0] != sums[1] {
		t.Errorf("built in %s: %x, by this machine: %x", *builder, sums[0], sums[1])
	}
}
