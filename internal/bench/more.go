package bench

import "context"

func Calls(ctx context.Context, o Options) (any, error)  { return nil, nil }
func Route(ctx context.Context, o Options) (any, error)  { return nil, nil }
func Switch(ctx context.Context, o Options) (any, error) { return nil, nil }
