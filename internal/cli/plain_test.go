package cli

import "testing"

func TestPlainSteersNoTerminal(t *testing.T) {
	if got, want := plain("a\x1b[2Jb\nc é"), "a\uFFFD[2Jb\uFFFDc é"; got != want {
		t.Errorf("plain = %q, want %q", got, want)
	}
}
