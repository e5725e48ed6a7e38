package cli

import (
	"errors"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/stekring/stekring/config"
)

func TestPlainSteersNoTerminal(t *testing.T) {
	if got, want := plain("a\x1b[2Jb\nc é"), "a\uFFFD[2Jb\uFFFDc é"; got != want {
		t.Errorf("plain = %q, want %q", got, want)
	}
}

// TestUnreachableSteersNoTerminal is what an etcd answers with that is hostile.
func TestUnreachableSteersNoTerminal(t *testing.T) {
	f := &fleetClient{cfg: &config.Config{Etcd: config.Etcd{Endpoints: []string{"http://127.0.0.1:1"}}}}
	hostile := "\x1b]0;mine\a\nstekring: all is well" + strings.Repeat("x", 1<<20)
	for _, err := range []error{errors.New(hostile), rpctypes.EtcdError{}, errors.Join(rpctypes.ErrPermissionDenied, errors.New(hostile))} {
		if got := f.unreachable(t.Context(), err).Error(); strings.ContainsAny(got, "\x1b\a\n") || len(got) > 2000 {
			t.Errorf("%d bytes: %.100q", len(got), got)
		}
	}
}

// TestSaidSteersNoTerminal keeps what is ours: lines, and cobra's suggestions.
func TestSaidSteersNoTerminal(t *testing.T) {
	got := said(errors.New("unknown\n\tstatus\n\x1b]0;mine\a"+strings.Repeat("x", 1<<20)), nil)
	if !strings.HasPrefix(got, "unknown\n\tstatus\n\uFFFD]0;mine\uFFFDx") || len(got) > 17000 {
		t.Errorf("%d bytes: %.100q", len(got), got)
	}
}
