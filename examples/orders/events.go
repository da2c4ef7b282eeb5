package main

import "ravenswood.dev/stream"

// OrderRequested is what a customer wants. All events of an order have its id as key, and carry the order itself, so that
// no service has to ask another one.
type OrderRequested struct {
	Customer string `json:"customer"`
	Product  string `json:"product"`
	Pieces   int64  `json:"pieces"`
	Cents    int64  `json:"cents"`
}

// OrderValidated says whether the order can be fulfilled; its pieces are put aside then.
type OrderValidated struct {
	OrderRequested
	Refused string `json:"refused,omitempty"` // why not
}

// OrderPaymentProcessed says how the payment went.
type OrderPaymentProcessed struct {
	OrderRequested
	Charge   string `json:"charge,omitempty"`   // number of the charge, as the provider gave it
	Declined string `json:"declined,omitempty"` // why there is none
}

// OrderConfirmed says that the order is possible and paid.
type OrderConfirmed struct {
	OrderRequested
	Charge string `json:"charge"`
}

// OrderShipping says where the parcel is.
type OrderShipping struct {
	Customer string `json:"customer"`
	State    State  `json:"state"`
}

// State is where a parcel is.
type State string

// The states of a parcel, in order.
const (
	Packed   State = "packed"
	OnTheWay State = "on the way"
	Arrived  State = "arrived" // told as OrderDelivered
)

// next is the state after.
func (s State) next() State {
	if s == Packed {
		return OnTheWay
	}
	return Arrived
}

// OrderDelivered says that the customer has it.
type OrderDelivered struct {
	Customer string `json:"customer"`
}

// OrderMailed says that the customer was told.
type OrderMailed struct {
	Letter string `json:"letter"` // number of the letter, as the post gave it
	Text   string `json:"text"`
}

// The topics. Each has one service that writes it, and is kept for ever: a table can be made of the log again.
var (
	stock            = stream.Topic("stock", stream.String(), stream.Int64()).Partitions(partitions).Compacted() // pieces ever bought, by product
	orderRequested   = events[OrderRequested]("order-requested")
	orderValidated   = events[OrderValidated]("order-validated")
	paymentProcessed = events[OrderPaymentProcessed]("order-payment-processed")
	orderConfirmed   = events[OrderConfirmed]("order-confirmed")
	orderShipping    = events[OrderShipping]("order-shipping")
	orderDelivered   = events[OrderDelivered]("order-delivered")
	orderMailed      = events[OrderMailed]("order-mailed")
)

// partitions of every topic: what is joined must have equally many.
const partitions = 3

func events[E any](name string) stream.TopicOf[string, E] {
	return stream.Topic(name, stream.String(), stream.JSON[E]()).Partitions(partitions).Retention(0)
}
