//go:build unix

package seal

import (
	"io/fs"
	"os"
	"syscall"
)

// forbidden returns the permissions that a KEK file must not give.
func forbidden(st fs.FileInfo) fs.FileMode {
	if s, ok := st.Sys().(*syscall.Stat_t); ok && s.Uid == 0 && os.Geteuid() != 0 {
		return 0o037
	}
	return 0o077
}
