package seal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// kekFile writes a file with that mode, whatever the umask.
func kekFile(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kek")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
	return file
}

// refuse checks that the file is refused for that reason, and named.
func refuse(t *testing.T, what, file, want string) {
	t.Helper()
	k, err := LoadKEK(file)
	if k != nil || err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
		t.Errorf("%s: LoadKEK(%s) = %v, %v, want %q and the name of the file", what, file, k, err, want)
	}
}

func TestLoadKEK(t *testing.T) {
	file := kekFile(t, "# ours\n"+line("a", testRaw(0))+line("b", testRaw(1)), 0o600)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(file, link); err != nil {
		t.Logf("no symbolic links here: %v", err)
		link = file
	}
	for _, name := range []string{file, link} {
		k, err := LoadKEK(name)
		if err != nil || !slices.Equal(k.ids, []string{"a", "b"}) {
			t.Errorf("LoadKEK(%s) = %v, %v, want a and b", name, k, err)
		}
	}
}

func TestLoadKEKModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a mode says nothing here")
	}
	for mode, want := range map[os.FileMode]string{
		0o600: "", 0o400: "", 0o700: "",
		0o644: "mode 0644 lets others read or change it; chmod 600 it", 0o640: "mode 0640", 0o604: "mode 0604",
		0o620: "mode 0620", 0o602: "mode 0602", 0o610: "mode 0610", 0o601: "mode 0601", 0o777: "mode 0777",
	} {
		file := kekFile(t, line("a", testRaw(0)), mode)
		if want != "" {
			refuse(t, "mode", file, want)
		} else if _, err := LoadKEK(file); err != nil {
			t.Errorf("LoadKEK of mode %04o = %v, want a KEK", mode, err)
		}
	}
}

func TestLoadKEKRefuses(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	refuse(t, "missing", missing, "KEK file")
	if _, err := LoadKEK(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("LoadKEK(missing) = %v, want fs.ErrNotExist", err)
	}
	refuse(t, "a directory", t.TempDir(), "not a regular file")
	refuse(t, "empty", kekFile(t, "", 0o600), "without keys")
	refuse(t, "a bad line", kekFile(t, line("a", testRaw(0))+"b:c", 0o600), "KEK line 2")
	refuse(t, "too large", kekFile(t, strings.Repeat("#", maxFile+1), 0o600), "65537 bytes, must be at most 65536")
}
