package tables

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/record"
	"ravenswood.dev/stream/tables"
)

// The bounds of one request to write records.
const (
	recordsMax = 1000
	headersMax = 100
)

// Write writes records to a topic, each by itself, and returns the token that a question can wait for. It is for
// whoever is at the log already; others post to the admin API.
func Write(ctx context.Context, log Log, topic string, records []tables.Record) (tables.Token, []tables.Written, error) {
	raw := make([]*kgo.Record, len(records))
	for i, r := range records {
		if err := checkTime(r.Time); err != nil {
			return tables.Token{}, nil, fmt.Errorf("write to topic %q: record %d: %w", topic, i+1, err)
		}
		raw[i] = rawRecord(ctx, topic, r)
	}
	if err := log.Write(ctx, raw); err != nil {
		return tables.Token{}, nil, fmt.Errorf("write to topic %q: %w", topic, err)
	}
	written, places := make([]tables.Written, len(raw)), make([]tables.Coordinate, len(raw))
	for i, r := range raw {
		written[i] = tables.Written{Partition: r.Partition, Offset: r.Offset}
		places[i] = tables.Coordinate{Topic: topic, Partition: r.Partition, Offset: r.Offset}
	}
	return tables.NewToken(places...), written, nil
}

// checkTime refuses a time that would be another one in the log. None means now.
func checkTime(at time.Time) error {
	if at.IsZero() {
		return nil
	}
	return record.CheckTime(at)
}

func rawRecord(ctx context.Context, topic string, r tables.Record) *kgo.Record {
	raw := &kgo.Record{Topic: topic, Key: r.Key, Value: r.Value, Timestamp: r.Time}
	for _, name := range sortedNames(r.Headers) {
		raw.Headers = append(raw.Headers, kgo.RecordHeader{Key: name, Value: []byte(r.Headers[name])})
	}
	if r.Partition != nil {
		raw.Partition = *r.Partition
		return Named(ctx, raw)
	}
	return raw
}

func sortedNames(headers map[string]string) []string {
	names := make([]string, 0, len(headers))
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// produce writes what somebody posted.
func (s *Service) produce(ctx context.Context, topic string, request tables.ProduceRequest) (*tables.ProduceAnswer, error) {
	if err := s.writable(topic); err != nil {
		return nil, err
	}
	records, err := readRecords(request)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, tables.WaitMax)
	defer cancel()
	token, written, err := Write(ctx, s.log, topic, records)
	switch {
	case errors.Is(err, ErrNoTopic):
		return nil, &tables.Error{Status: http.StatusNotFound, Code: tables.NoTopic, Message: fmt.Sprintf("write to topic %q: there is no such topic", topic)}
	case errors.Is(err, ErrTooLarge), errors.Is(err, ErrWrongAge):
		return nil, &tables.Error{Status: http.StatusBadRequest, Code: tables.BadRequest, Message: err.Error(), Hint: "the others may have been written"}
	case err != nil:
		return nil, &tables.Error{Status: http.StatusBadGateway, Code: tables.Failed, Message: err.Error(), Hint: "some of the records may have been written"}
	}
	return &tables.ProduceAnswer{Token: token.String(), Records: written}, nil
}

// writable refuses the topics that belong to a topology or to the cluster: a foreign record in a changelog would
// damage a store for good.
func (s *Service) writable(topic string) error {
	owned := strings.HasPrefix(topic, "_")
	for _, e := range s.engines() {
		for _, t := range e.Plan().Topics {
			owned = owned || t.Internal && t.Name == topic
		}
	}
	if owned {
		return &tables.Error{Status: http.StatusForbidden, Code: tables.Forbidden, Message: fmt.Sprintf("write to topic %q: it is an internal one", topic)}
	}
	return nil
}

func readRecords(request tables.ProduceRequest) ([]tables.Record, error) {
	if n := len(request.Records); n == 0 || n > recordsMax {
		return nil, badRequest("write %d records: want 1 to %d at a time", n, recordsMax)
	}
	records := make([]tables.Record, len(request.Records))
	for i, shown := range request.Records {
		r, err := shown.Read()
		if err != nil {
			return nil, badRequest("read record %d: %s", i+1, err)
		}
		if err := checkTime(r.Time); err != nil {
			return nil, badRequest("read record %d: %s", i+1, err)
		}
		if len(r.Headers) > headersMax {
			return nil, badRequest("read record %d: %d headers, the most is %d", i+1, len(r.Headers), headersMax)
		}
		if r.Partition != nil && *r.Partition < 0 {
			return nil, badRequest("read record %d: partition %d", i+1, *r.Partition)
		}
		records[i] = r
	}
	return records, nil
}
