package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// roleEnv names the role of a child, which has the same program.
const roleEnv = "STEKRING_BENCH_ROLE"

func asChild() (role string, args []string, is bool) {
	role = os.Getenv(roleEnv)
	return role, os.Args[1:], role != ""
}

// untilParentEnds ends a child whose parent has closed its standard input, as
// the system does when the parent dies.
func untilParentEnds() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// child is this program in another role.
type child struct {
	*exec.Cmd
	stdin io.Closer     // its end would end the child
	done  chan struct{} // closed when it has ended
	err   error         // then, how
}

// spawn starts a child, which ends with ctx at the latest. What it prints goes to
// stdout and stderr, which may be nil.
func spawn(ctx context.Context, role string, stdout, stderr io.Writer, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{Cmd: exec.CommandContext(ctx, self, args...), done: make(chan struct{})}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "ETCD_") { // they would change an etcd
			c.Env = append(c.Env, e)
		}
	}
	c.Env = append(c.Env, roleEnv+"="+role)
	c.Stdout, c.Stderr = stdout, stderr
	if c.stdin, err = c.StdinPipe(); err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("starting a child: %w", err)
	}
	go func() {
		c.err = c.Wait()
		close(c.done)
	}()
	return c, nil
}

// end kills the child and waits for it.
func (c *child) end() {
	_ = c.Process.Kill()
	<-c.done
}
