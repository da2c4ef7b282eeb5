package main

import "ravenswood.dev/stream"

// OrderView is an order as people want to see it: all that was said of it, in one place.
type OrderView struct {
	OrderRequested
	Status   Status `json:"status"`
	Refused  string `json:"refused,omitempty"`
	Charge   string `json:"charge,omitempty"`
	Declined string `json:"declined,omitempty"`
	Parcel   State  `json:"parcel,omitempty"`
	Letter   string `json:"letter,omitempty"` // what the customer was told
}

// Status is how far an order is.
type Status string

// How far an order can be. Refused, Declined and Delivered are ends.
const (
	StatusRequested Status = "requested"
	StatusRefused   Status = "refused"
	StatusValidated Status = "validated"
	StatusDeclined  Status = "declined"
	StatusPaid      Status = "paid"
	StatusConfirmed Status = "confirmed"
	StatusShipping  Status = "shipping"
	StatusDelivered Status = "delivered"
)

// rank says which status is further than which.
func (s Status) rank() int {
	for i, known := range []Status{StatusRequested, StatusRefused, StatusValidated, StatusDeclined, StatusPaid, StatusConfirmed, StatusShipping, StatusDelivered} {
		if s == known {
			return i + 1
		}
	}
	return 0
}

// at is the order, at least so far. Events of different topics come in any order, and in another one when the view is built
// again: what comes of them must not depend on it.
func (v OrderView) at(s Status) OrderView {
	if s.rank() > v.Status.rank() {
		v.Status = s
	}
	return v
}

// orderView is the table of all orders. It writes to no topic, so it can be lost: the log makes it again.
func orderView() (*stream.Topology, stream.Table[string, OrderView]) {
	t := stream.New("order-view")
	v := stream.Cogroup(stream.From(t, orderRequested).GroupByKey(), requested)
	v = stream.And(v, stream.From(t, orderValidated).GroupByKey(), validated)
	v = stream.And(v, stream.From(t, paymentProcessed).GroupByKey(), paid)
	v = stream.And(v, stream.From(t, orderConfirmed).GroupByKey(), confirmed)
	v = stream.And(v, stream.From(t, orderShipping).GroupByKey(), shipped)
	v = stream.And(v, stream.From(t, orderDelivered).GroupByKey(), delivered)
	v = stream.And(v, stream.From(t, orderMailed).GroupByKey(), mailed)
	return t, v.Aggregate(stream.JSON[OrderView](), func() OrderView { return OrderView{} }, stream.Named("orders"))
}

func requested(_ string, e OrderRequested, v OrderView) OrderView {
	if v.OrderRequested == (OrderRequested{}) {
		v.OrderRequested = e // sent twice, the first one counts
	}
	return v.at(StatusRequested)
}

func validated(_ string, e OrderValidated, v OrderView) OrderView {
	if v.Refused = e.Refused; e.Refused != "" {
		return v.at(StatusRefused)
	}
	return v.at(StatusValidated)
}

func paid(_ string, e OrderPaymentProcessed, v OrderView) OrderView {
	if v.Charge, v.Declined = e.Charge, e.Declined; e.Declined != "" {
		return v.at(StatusDeclined)
	}
	return v.at(StatusPaid)
}

func confirmed(_ string, _ OrderConfirmed, v OrderView) OrderView { return v.at(StatusConfirmed) }

func shipped(_ string, e OrderShipping, v OrderView) OrderView {
	if v.Parcel != Arrived {
		v.Parcel = e.State
	}
	return v.at(StatusShipping)
}

func delivered(_ string, _ OrderDelivered, v OrderView) OrderView {
	v.Parcel = Arrived
	return v.at(StatusDelivered)
}

func mailed(_ string, e OrderMailed, v OrderView) OrderView {
	v.Letter = e.Text
	return v
}

// ended says that nothing will happen to the order any more.
func (v OrderView) ended() bool {
	return v.Status == StatusRefused || v.Status == StatusDeclined || v.Status == StatusDelivered && v.Letter != ""
}
