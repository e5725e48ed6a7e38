//go:build unix

package seal

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLoadKEKSpecial has files that are none. To open a FIFO is to wait until
// somebody writes, which at a start may be for ever.
func TestLoadKEKSpecial(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "kek")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(fifo, link); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, file := range []string{fifo, link, os.DevNull} {
			refuse(t, "special", file, "not a regular file")
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("LoadKEK of a FIFO blocks")
		for { // let it go
			if w, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
				_ = w.Close()
			}
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}

// TestLoadKEKHandedOver is a process that is not root and has files by its group.
func TestLoadKEKHandedOver(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can hand files over")
	}
	const root, self, other = 0, 65532, 65533
	for _, tt := range []struct {
		owner int
		mode  os.FileMode
		want  string
	}{
		{root, 0o440, ""}, {root, 0o640, ""},
		{root, 0o660, "mode 0660"}, {root, 0o444, "mode 0444"}, {root, 0o450, "mode 0450"},
		{self, 0o440, "mode 0440"}, {other, 0o440, "mode 0440"}, {other, 0o640, "mode 0640"},
	} {
		file := kekFile(t, line("a", testRaw(0)), tt.mode)
		for dir := filepath.Dir(file); len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chown(file, tt.owner, 0); err != nil { // the group stays
			t.Fatal(err)
		}
		if err := syscall.Setreuid(-1, self); err != nil {
			t.Fatal(err)
		}
		k, err := LoadKEK(file)
		if err := syscall.Setreuid(-1, root); err != nil {
			t.Fatal(err)
		}
		if tt.want == "" && err != nil || tt.want != "" && (k != nil || err == nil || !strings.Contains(err.Error(), tt.want+" lets others read or change it")) {
			t.Errorf("LoadKEK of a file of user %d, mode %04o = %v, %v, want %q", tt.owner, tt.mode, k, err, tt.want)
		}
	}
}
