//go:build unix

package integration

import "syscall"

const (
	sigstop = syscall.SIGSTOP
	sigcont = syscall.SIGCONT
)

func mkfifo(file string) error { return syscall.Mkfifo(file, 0o600) }

// session has a process be away from the terminal of this one.
func session() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
