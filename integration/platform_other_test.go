//go:build !unix

package integration

import (
	"errors"
	"syscall"
)

// What a platform lacks fails the tests that need it.
const sigstop, sigcont = syscall.Signal(-1), syscall.Signal(-1)

func mkfifo(string) error { return errors.ErrUnsupported }

func session() *syscall.SysProcAttr { return nil }
