package main

import "context"

func rotation(ctx context.Context, b *bench) error {
	s, err := startEtcd(ctx)
	if err != nil {
		return err
	}
	defer s.end()
	m, err := s.meters(ctx)
	b.say("%+v", m)
	return err
}
