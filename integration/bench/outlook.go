package main

import "context"

func simulate(ctx context.Context, b *bench) error { return nil }

func (s *scaled) constants(ctx context.Context, b *bench) error { return nil }
