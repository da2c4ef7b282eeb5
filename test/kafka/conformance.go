package main

import "context"

func conformance(ctx context.Context, args []string) error { return nil }
