//go:build unix

package seal

import (
	"os"
	"path/filepath"
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

// TestLoadKEKHandedOver has files of another user that this process reads.
func TestLoadKEKHandedOver(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	for mode, want := range map[os.FileMode]string{
		0o600: "", 0o440: "", 0o640: "",
		0o660: "mode 0660", 0o444: "mode 0444", 0o604: "mode 0604", 0o450: "mode 0450",
	} {
		file := kekFile(t, line("a", testRaw(0)), mode)
		if err := os.Chown(file, 65532, 0); err != nil {
			t.Fatal(err)
		}
		if want != "" {
			refuse(t, "of another user", file, want+" lets others read or change it")
		} else if _, err := LoadKEK(file); err != nil {
			t.Errorf("LoadKEK of another user's file of mode %04o = %v, want a KEK", mode, err)
		}
	}
}
