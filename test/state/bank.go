package main

import (
	"fmt"
	"iter"
	"strconv"
	"time"

	"ravenswood.dev/stream"
)

// The records of the bank. Money moves, it is neither made nor lost.
type (
	// transfer moves an amount from one account to another.
	transfer struct {
		ID     int64  `json:"id"`
		From   string `json:"from"`
		To     string `json:"to"`
		Amount int64  `json:"amount"`
	}
	// account is an entry of the table of accounts. Its region never changes; its version does all the time.
	account struct {
		Region  string `json:"region"`
		Opening int64  `json:"opening"` // the balance it began with
		Version int64  `json:"version"`
	}
	// confirmation says that somebody outside has seen a transfer.
	confirmation struct {
		ID   int64 `json:"id"`
		Code int64 `json:"code"`
	}
	// move is one side of a transfer.
	move struct {
		Transfer int64  `json:"transfer"`
		Amount   int64  `json:"amount"`
		Region   string `json:"region,omitempty"`
		Opening  int64  `json:"opening,omitempty"`
		Version  int64  `json:"version,omitempty"`
	}
	// standing is what the book holds of an account.
	standing struct {
		N       int64 `json:"n"`
		Balance int64 `json:"balance"`
	}
	// posting is a line of an account: the nth, with the balance after it.
	posting struct {
		move
		standing
		Partition int32 `json:"partition"` // where the transfer is in its topic
		Offset    int64 `json:"offset"`
	}
	// settled is a transfer that has met its confirmation.
	settled struct {
		ID     int64 `json:"id"`
		Amount int64 `json:"amount"`
		Code   int64 `json:"code"`
	}
	// volume is what happened in a region and a window.
	volume struct {
		Count int64 `json:"count"`
		Moved int64 `json:"moved"` // amounts without their signs
	}
)

// The topics, all of so many partitions.
const (
	partitions = 8

	topicAccounts      = "accounts"
	topicTransfers     = "transfers"
	topicConfirmations = "confirmations"
	topicPostings      = "postings"
	topicSettled       = "settled"
	topicVolumes       = "volumes"

	windowSize = 5 * time.Second
	// grace is longer than a run: what was held up by a fault is never too late.
	grace = 24 * time.Hour

	bankName  = "bank"
	bankGroup = "raven." + bankName
)

// The stores of the bank. Tables can be asked for; the book is a processor's own and can be read on its changelog only.
const (
	tableAccounts = "accounts"
	tableCount    = "count"
	tableVolume   = "volume"
	bookChangelog = bankName + ".post-book.changelog"
	deadLetters   = bankName + ".dead-letters"
)

func topicOf[V any](name string) stream.TopicOf[string, V] {
	return stream.Topic(name, stream.String(), stream.JSON[V]()).Partitions(partitions).Retention(0)
}

// bank is the topology under test. A transfer passes two internal topics on its way from one stage to the next:
//
//	transfers ─┬─ join within a time ── settled          stage 1, with confirmations
//	           └─ both sides ─┄ by account
//	accounts (table) ── join ── book ─┬─ postings          stage 2
//	                                  ├─ count
//	                                  └─┄ by region
//	                              volume of windows ── volumes   stage 3
func bank() *stream.Topology {
	t := stream.New(bankName)
	transfers := stream.From(t, topicOf[transfer](topicTransfers))
	confirmations := stream.From(t, topicOf[confirmation](topicConfirmations))
	stream.JoinStreams(transfers, confirmations, stream.Within(time.Minute).Grace(grace), settle, stream.Named("meet"), stream.WithValue(stream.JSON[settled]())).
		To(topicOf[settled](topicSettled))

	accounts := stream.TableOf(t, topicOf[account](topicAccounts).Compacted(), stream.Named(tableAccounts))
	sides := stream.FlatMap(transfers, bothSides, stream.Named("sides"), stream.WithValue(stream.JSON[move]()))
	known := stream.Join(sides, accounts, know, stream.Named("known"), stream.WithValue(stream.JSON[move]()))
	book := stream.NewStore("book", stream.String(), stream.JSON[standing]())
	postings := stream.Process(known, keepBook(book), stream.Uses(book), stream.KeepsKeys(), stream.Named("post"), stream.WithValue(stream.JSON[posting]()))
	postings.To(topicOf[posting](topicPostings))
	postings.GroupByKey().Count(stream.Named(tableCount))

	regions := stream.GroupBy(postings, func(_ string, p posting) string { return p.Region }, stream.Named("by-region"))
	stream.AggregateWindows(regions.Windowed(stream.Tumbling(windowSize).Grace(grace)), stream.JSON[volume](),
		func() volume { return volume{} }, addVolume, stream.Named(tableVolume)).
		To(stream.Topic(topicVolumes, stream.WindowedKey(stream.String()), stream.JSON[volume]()).Partitions(partitions).Retention(0))
	return t
}

func settle(t transfer, c confirmation) settled {
	return settled{ID: t.ID, Amount: t.Amount, Code: c.Code}
}

// bothSides takes the amount from one account and gives it to the other.
func bothSides(_ string, t transfer) iter.Seq2[string, move] {
	return func(yield func(string, move) bool) {
		if yield(t.From, move{Transfer: t.ID, Amount: -t.Amount}) {
			yield(t.To, move{Transfer: t.ID, Amount: t.Amount})
		}
	}
}

func know(m move, a account) move {
	m.Region, m.Opening, m.Version = a.Region, a.Opening, a.Version
	return m
}

// keepBook numbers the lines of each account and adds up its balance.
func keepBook(book *stream.KeyValueStore[string, standing]) func(c *stream.Context[string, posting]) func(stream.Record[string, move]) error {
	return func(c *stream.Context[string, posting]) func(stream.Record[string, move]) error {
		lines := book.In(c)
		return func(r stream.Record[string, move]) error {
			now, ok := lines.Get(r.Key)
			if !ok {
				now.Balance = r.Value.Opening
			}
			now.N++
			now.Balance += r.Value.Amount
			lines.Put(r.Key, now)
			c.Emit(r.Key, posting{r.Value, now, r.Origin.Partition, r.Origin.Offset})
			return nil
		}
	}
}

func addVolume(_ string, p posting, so volume) volume {
	return volume{Count: so.Count + 1, Moved: so.Moved + max(p.Amount, -p.Amount)}
}

func accountName(i int) string { return fmt.Sprintf("acc-%04d", i) }

func transferKey(id int64) string { return strconv.FormatInt(id, 10) }
