package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// binary is how large the binary of a server is that links a node, beside one
// that does not.
func binary(ctx context.Context, b *bench) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	// From wherever in this module it is run.
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	here := strings.TrimSpace(string(out))
	dir, err := os.MkdirTemp("", "bench-binary-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	t := b.table("Binary of a linked server", "server", "bytes", "MB", "over plain MB", "over the one before MB")
	var plain, before int64
	for i, kind := range []struct{ name, dir, tags string }{
		{"plain HTTPS", filepath.Join(here, "plain"), ""},
		{"with an etcd client", filepath.Join(here, "plain"), "etcd"},
		{"with stekring", filepath.Join(here, "..", "linked"), ""},
	} {
		file := filepath.Join(dir, fmt.Sprint("server", i))
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-tags", kind.tags, "-o", file, ".")
		build.Dir, build.Stderr = kind.dir, os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("building the server %s: %w", kind.name, err)
		}
		st, err := os.Stat(file)
		if err != nil {
			return err
		}
		size := st.Size()
		if i == 0 {
			plain, before = size, size
		}
		t.row(kind.name, size, float64(size)/1e6, float64(size-plain)/1e6, float64(size-before)/1e6)
		before = size
	}
	return nil
}
