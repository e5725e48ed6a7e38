package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	project = "stekring-demo"
	image   = "stekring:demo"
	members = 3 // of the etcd, and as many nodes
)

// docker is the engine and Compose, and where the demo's files are.
type docker struct {
	root, dir string   // of the repository, of the demo
	user      string   // uid:gid in the containers
	command   []string // Compose
}

// find looks for all that the demo needs.
func find(ctx context.Context) (*docker, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/stekring/stekring").Output()
	if err != nil {
		return nil, errors.New("no repository of stekring here: run it inside a clone")
	}
	d := &docker{root: strings.TrimSpace(string(root)), user: user()}
	d.dir = filepath.Join(d.root, "integration", "demo")
	if out, err := exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Version}}").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("no Docker engine answers: %s: install one, or start it", tail(out))
	}
	for _, command := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if exec.CommandContext(ctx, command[0], append(command[1:], "version")...).Run() == nil {
			d.command = command
			return d, nil
		}
	}
	return nil, errors.New("neither docker compose nor docker-compose works: install one of them")
}

func (d *docker) work() string { return filepath.Join(d.dir, "work") }

// run runs a command in the repository, and returns what it printed.
func (d *docker) run(ctx context.Context, env []string, command ...string) (string, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.WaitDelay = d.root, time.Second
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w:\n%s", strings.Join(command, " "), err, tail(out))
	}
	return string(out), nil
}

// compose runs Compose on the demo.
func (d *docker) compose(ctx context.Context, args ...string) (string, error) {
	command := append(append([]string{}, d.command...), "-p", project, "-f", filepath.Join(d.dir, "compose.yaml"), "--project-directory", d.dir)
	return d.run(ctx, []string{"STEKRING_USER=" + d.user}, append(command, args...)...)
}

// build builds the image: from a binary that this machine's Go makes, or in a
// builder image. The load client is built beside it.
func (d *docker) build(ctx context.Context, builder string) error {
	version, err := d.run(ctx, nil, "git", "describe", "--tags", "--always", "--dirty")
	if err != nil {
		version = ""
	}
	version = strings.TrimSpace(version)
	linux := []string{"CGO_ENABLED=0", "GOOS=linux"}
	if _, err := d.run(ctx, linux, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(d.work(), "load", "demo"), "./integration/demo"); err != nil {
		return err
	}
	if builder != "" {
		_, err := d.run(ctx, nil, "docker", "build", "-q", "-t", image, "-f", filepath.Join(d.dir, "Dockerfile"),
			"--build-arg", "BUILDER="+builder, "--build-arg", "VERSION="+version, d.root)
		return err
	}
	around, err := os.MkdirTemp("", "stekring-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(around)
	license, err := os.ReadFile(filepath.Join(d.root, "LICENSE"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(around, "LICENSE"), license, 0o644); err != nil {
		return err
	}
	if _, err := d.run(ctx, linux, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -buildid= -X github.com/stekring/stekring/internal/cli.version="+version, "-o", filepath.Join(around, "stekring"), "."); err != nil {
		return err
	}
	_, err = d.run(ctx, nil, "docker", "build", "-q", "-t", image, "-f", filepath.Join(d.dir, "Dockerfile"), "--target", "host", around)
	return err
}

// container returns the id of a service's container.
func (d *docker) container(ctx context.Context, service string) (string, error) {
	out, err := d.run(ctx, nil, "docker", "ps", "-aq", "--no-trunc", "--filter", "label=com.docker.compose.project="+project,
		"--filter", "label=com.docker.compose.service="+service)
	if id := strings.TrimSpace(out); err != nil || id != "" && !strings.Contains(id, "\n") {
		return id, err
	}
	return "", fmt.Errorf("service %s has not one container: %q", service, out)
}
