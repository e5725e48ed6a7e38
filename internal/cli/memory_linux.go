package cli

import "golang.org/x/sys/unix"

// keepMemory has the system never write this process's memory, and the keys in
// it, to a core file, not even to one that goes to a program; and no other
// process of the same user read it.
func keepMemory() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
