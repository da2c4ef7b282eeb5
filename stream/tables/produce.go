package tables

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Record is one to be written to a topic.
type Record struct {
	Key       []byte // nil: none
	Value     []byte // nil: a tombstone
	Headers   map[string]string
	Time      time.Time // zero: now
	Partition *int32    // nil: by the key, as every Kafka client does
}

// Written says where a record went.
type Written struct {
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
}

// ShownRecord is a record to be written, in JSON.
type ShownRecord struct {
	Key           json.RawMessage   `json:"key,omitempty"`           // nothing or null: none
	KeyEncoding   Encoding          `json:"keyEncoding,omitempty"`   // empty: text
	Value         json.RawMessage   `json:"value,omitempty"`         // nothing or null: a tombstone
	ValueEncoding Encoding          `json:"valueEncoding,omitempty"` // empty: json
	Headers       map[string]string `json:"headers,omitempty"`
	Time          string            `json:"time,omitempty"`
	Partition     *int32            `json:"partition,omitempty"`
}

// Read returns the record that s means. A JSON null is a tombstone; to write the four letters, say them as text.
func (s ShownRecord) Read() (r Record, err error) {
	if !absent(s.Key) {
		if r.Key, err = or(s.KeyEncoding, Text).read(s.Key); err != nil {
			return r, err
		}
	}
	if !absent(s.Value) {
		if r.Value, err = or(s.ValueEncoding, JSON).read(s.Value); err != nil {
			return r, err
		}
	}
	r.Headers, r.Partition = s.Headers, s.Partition
	r.Time, err = readTime(s.Time)
	return r, err
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// ProduceRequest is what is posted to write records.
type ProduceRequest struct {
	Records []ShownRecord `json:"records"`
}

// ProduceAnswer says where they went.
type ProduceAnswer struct {
	Token   string    `json:"token"`
	Records []Written `json:"records"`
}

// Produce writes records to a topic, each by itself: an error does not mean that none was written. The token is for
// Ask.After. Only admin APIs take records. Whoever asks a tables listener writes with a Kafka client, and makes the token
// of where the records went: see NewToken.
func (c *Client) Produce(ctx context.Context, topic string, records ...Record) (Token, error) {
	request := ProduceRequest{}
	for _, r := range records {
		request.Records = append(request.Records, r.show())
	}
	var answer ProduceAnswer
	if err := c.call(ctx, http.MethodPost, "/v1/topics/"+url.PathEscape(topic)+"/records", nil, request, &answer); err != nil {
		return Token{}, err
	}
	return ParseToken(answer.Token)
}

func (r Record) show() ShownRecord {
	s := ShownRecord{KeyEncoding: Base64, ValueEncoding: Base64, Headers: r.Headers, Time: showTime(r.Time), Partition: r.Partition}
	if r.Key != nil {
		s.Key, _ = Base64.show(r.Key)
	}
	if r.Value != nil {
		s.Value = quote(base64.StdEncoding.EncodeToString(r.Value))
	}
	return s
}
