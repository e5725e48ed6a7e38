package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// ask has a child in a role answer a question, both in JSON. What else the child
// says is not of interest, unless it fails.
func ask[A any](ctx context.Context, role string, question any) (answer A, err error) {
	arg, err := json.Marshal(question)
	if err != nil {
		return answer, err
	}
	var out, said bytes.Buffer
	c, err := spawn(ctx, role, &out, &said, string(arg))
	if err != nil {
		return answer, err
	}
	<-c.done
	if c.err != nil {
		return answer, fmt.Errorf("child %s %s: %w\n%s", role, arg, c.err, said.Bytes())
	}
	return answer, json.Unmarshal(out.Bytes(), &answer)
}

// answers makes a role of a func that answers what ask asks.
func answers[Q, A any](f func(context.Context, Q) (A, error)) func(args []string) error {
	return func(args []string) error {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		var q Q
		if err := json.Unmarshal([]byte(args[0]), &q); err != nil {
			return err
		}
		a, err := f(ctx, q)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(a)
	}
}
