package integration

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnit has systemd read the unit, and say how much is left open to the process.
func TestUnit(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		lack(t, "systemd-analyze is missing: apt-get install systemd to check the unit")
	}
	unit := read(t, "../docs/deploy/stekring.service")
	file := filepath.Join(t.TempDir(), "stekring.service")
	s := &site{t: t}
	s.write(file, []byte(strings.ReplaceAll(unit, "/usr/local/bin/stekring", binary)))
	for _, args := range [][]string{
		{"verify", "--man=no", file},
		{"security", "--offline=true", "--no-pager", "--threshold=20", file}, // of 100; 16 with systemd 252
	} {
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput()
		if err != nil {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
		if args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze verify says\n%s", out)
		}
	}
}
