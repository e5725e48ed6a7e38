//go:build unix

package integration

import "syscall"

const (
	sigstop = syscall.SIGSTOP
	sigcont = syscall.SIGCONT
)

func mkfifo(file string) error { return syscall.Mkfifo(file, 0o600) }
