package main

import "context"

func runTools(ctx context.Context, s *session) error { return nil }
