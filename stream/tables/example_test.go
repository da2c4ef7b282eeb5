package tables_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/tables"
)

// Write an order, and see it in the totals of its country: the question waits until the table holds what the order did.
func Example() {
	type total struct {
		Orders  int     `json:"orders"`
		Revenue float64 `json:"revenue"`
	}
	ctx := context.Background()
	client := tables.NewClient(tables.Options{}, "127.0.0.1:19090")
	token, err := client.Produce(ctx, "orders", tables.Record{Key: []byte("o1"), Value: []byte(`{"country": "de", "total": 10.5}`)})
	if err != nil {
		log.Fatal(err)
	}
	totals := tables.Of(client.Table("shop", "totals"), stream.String(), stream.JSON[total]())
	de, err := totals.Get(ctx, "de", tables.Ask{After: token})
	switch {
	case errors.Is(err, tables.ErrNoKey):
		fmt.Println("no orders yet")
	case err != nil:
		log.Fatal(err)
	default:
		fmt.Println(de.Value.Orders, "orders,", de.Value.Revenue)
	}
}
