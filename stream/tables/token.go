package tables

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Token names records that were written, the last one of each partition: "orders/0@12,orders/3@7". A question with
// Ask.After waits until the table holds what they did. It can be put into an address as it is. The zero value names none.
type Token struct{ parts []Coordinate }

// Coordinate is the place of a record in the log.
type Coordinate struct {
	Topic     string
	Partition int32
	Offset    int64
}

func (c Coordinate) String() string {
	return c.Topic + "/" + strconv.Itoa(int(c.Partition)) + "@" + strconv.FormatInt(c.Offset, 10)
}

// The bounds of a token.
const (
	tokenPartsMax = 1000
	topicNameMax  = 249
)

// NewToken makes a token of records' places.
func NewToken(places ...Coordinate) Token { return Token{}.And(Token{parts: places}) }

// And makes a token of the records of both.
func (t Token) And(other Token) Token {
	all := slices.Concat(t.parts, other.parts)
	slices.SortFunc(all, func(a, b Coordinate) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(b.Offset, a.Offset))
	})
	return Token{slices.CompactFunc(all, func(a, b Coordinate) bool { return a.Topic == b.Topic && a.Partition == b.Partition })}
}

// Places lists the last record of each partition, sorted by topic and partition.
func (t Token) Places() []Coordinate { return slices.Clone(t.parts) }

// IsZero says whether the token names no record.
func (t Token) IsZero() bool { return len(t.parts) == 0 }

func (t Token) String() string {
	words := make([]string, len(t.parts))
	for i, c := range t.parts {
		words[i] = c.String()
	}
	return strings.Join(words, ",")
}

// ParseToken reads what String wrote.
func ParseToken(s string) (Token, error) {
	if s == "" {
		return Token{}, nil
	}
	if n := strings.Count(s, ",") + 1; n > tokenPartsMax {
		return Token{}, fmt.Errorf("read token: it names records of %d partitions, the most is %d", n, tokenPartsMax)
	}
	var places []Coordinate
	for part := range strings.SplitSeq(s, ",") {
		c, ok := parseCoordinate(part)
		if !ok {
			return Token{}, fmt.Errorf("read token %q: want topic/partition@offset,…", clip(part))
		}
		places = append(places, c)
	}
	return NewToken(places...), nil
}

// parseCoordinate refuses the last offset that there is, which no record can have: what waits, waits for the one after it.
func parseCoordinate(s string) (c Coordinate, ok bool) {
	topic, rest, ok1 := strings.Cut(s, "/")
	partition, offset, ok2 := strings.Cut(rest, "@")
	p, err1 := strconv.ParseUint(partition, 10, 31)
	o, err2 := strconv.ParseUint(offset, 10, 63)
	if !ok1 || !ok2 || err1 != nil || err2 != nil || o == math.MaxInt64 || topic == "" || len(topic) > topicNameMax || strings.ContainsFunc(topic, notInTopic) {
		return Coordinate{}, false
	}
	return Coordinate{Topic: topic, Partition: int32(p), Offset: int64(o)}, true
}

// notInTopic says what Kafka allows in no topic's name.
func notInTopic(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-')
}
