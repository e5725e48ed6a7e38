//go:build unix && !linux

package cli

import "golang.org/x/sys/unix"

// keepMemory has the system never write this process's memory, and the keys in
// it, to a core file.
func keepMemory() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
