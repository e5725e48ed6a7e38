package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stekring/stekring/internal/progress"
)

// matrixURL is where the load client shows what it has seen.
const matrixURL = "http://127.0.0.1:9480/"

// up starts everything anew, and waits until every pair of nodes resumes.
func up(ctx context.Context, builder string) error {
	start := time.Now()
	d, err := find(ctx)
	if err != nil {
		return err
	}
	show := progress.New(os.Stdout)
	var m Matrix
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"removing what is left of the last time", func() error { return d.remove(ctx) }},
		{"making certificates and a KEK", d.files},
		{"building the image", func() error { return d.build(ctx, builder) }},
		{"starting etcd, nodes and clients", func() error { _, err := d.compose(ctx, "up", "-d"); return err }},
		{"waiting until every pair resumes", func() (err error) { m, err = d.green(ctx, Matrix{}); return err }},
	} {
		if err := show.Step(step.what, step.do); err != nil {
			return err
		}
	}
	fmt.Println()
	m.Print(os.Stdout)
	fmt.Printf(`
It took %.0f s. Nodes serve https at 127.0.0.1:8441, 8442 and 8443, and a status page each:

  http://127.0.0.1:9471/   http://127.0.0.1:9472/   http://127.0.0.1:9473/

Try, and watch the clients not notice:

  cd integration/demo
  %[2]s exec node-1 /stekring status
  %[2]s exec node-1 /stekring rotate
  %[2]s kill node-1
  %[2]s start node-1
  %[2]s logs -f load

The end:

  go run ./integration/demo down
`, time.Since(start).Seconds(), strings.Join(d.command, " "))
	return nil
}

func down(ctx context.Context) error {
	d, err := find(ctx)
	if err != nil {
		return err
	}
	return progress.New(os.Stdout).Step("removing containers, networks and files", func() error { return d.remove(ctx) })
}

// remove deletes all that up has made but the image.
func (d *docker) remove(ctx context.Context) error {
	if _, err := d.compose(ctx, "down", "-v", "--remove-orphans", "-t", "3"); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(d.work()), os.RemoveAll(filepath.Join(d.dir, ".env")))
}

// matrix asks the load client for what it has seen.
func (d *docker) matrix(ctx context.Context) (m Matrix, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, matrixURL, nil)
	if err != nil {
		return m, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return m, err
	}
	defer resp.Body.Close()
	return m, json.NewDecoder(resp.Body).Decode(&m)
}

// green waits until every pair has resumed again since a matrix of before, and
// fails as soon as anything has been missed.
func (d *docker) green(ctx context.Context, since Matrix) (m Matrix, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("not within a minute"))
	defer cancel()
	for {
		m, err = d.matrix(ctx)
		switch {
		case err == nil && m.Total().Missed > 0:
			return m, fmt.Errorf("tickets were missed:\n%s", strings.Join(m.Misses, "\n"))
		case err == nil && m.Since(since).Green():
			return m, nil
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			if err == nil {
				err = fmt.Errorf("%+v", m)
			}
			return m, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}
