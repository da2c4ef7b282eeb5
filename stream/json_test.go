package stream_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"ravenswood.dev/stream"
)

type document struct {
	Text   string
	Number int64
	Exact  json.Number
	Raw    json.RawMessage
	Maybe  *document
	Bytes  []byte
	Any    any
	Of     map[string]int64
}

func TestJSONReadsWhatItWrites(t *testing.T) {
	c := stream.JSON[document]()
	for _, d := range []document{
		{Exact: "0", Raw: json.RawMessage("null")},
		{Text: "<a href=\"x\">&amp;</a> \u2028 ä€𝄞 \x00", Number: math.MaxInt64, Exact: "12345678901234567890.10", Raw: json.RawMessage(`{"a":[1]}`)},
		{Number: math.MinInt64, Exact: "-1e400", Raw: json.RawMessage("0"), Maybe: &document{Exact: "0", Raw: json.RawMessage("1")}, Bytes: []byte{0, 255}, Any: "x", Of: map[string]int64{"b": 1, "a": 2}},
	} {
		data, err := c.Encode([]byte("head"), d)
		if err != nil || !strings.HasPrefix(string(data), "head{") || strings.HasSuffix(string(data), "\n") {
			t.Fatalf("%+v is written as %q, %v", d, data, err)
		}
		if got, err := c.Decode(data[4:]); err != nil || !reflect.DeepEqual(got, d) {
			t.Errorf("%+v is read as %+v, %v", d, got, err)
		}
	}
}

func TestJSONIsWrittenAsOthersWriteIt(t *testing.T) {
	for want, value := range map[string]any{
		`"<a&b>"`:                "<a&b>",
		`9007199254740993`:       int64(9007199254740993),
		`null`:                   (*document)(nil),
		`{"a":1,"b":{"x>":"y"}}`: map[string]any{"b": map[string]string{"x>": "y"}, "a": 1},
		`[]`:                     []int{},
	} {
		if got, err := stream.JSON[any]().Encode(nil, value); err != nil || string(got) != want {
			t.Errorf("%v is written as %s, %v, want %s", value, got, err, want)
		}
	}
}

func TestJSONRefuses(t *testing.T) {
	for _, value := range []any{math.NaN(), math.Inf(1), func() {}, make(chan int), json.RawMessage("{")} {
		if got, err := stream.JSON[any]().Encode(nil, value); err == nil {
			t.Errorf("%T is written as %q", value, got)
		}
	}
	for _, data := range []string{"", " ", "{", "{}x", "{} {}", `{"Number":1.5}`, `{"Number":9223372036854775808}`, `{"Text":1}`, "[]", `"\xff`, "\xff", "NaN"} {
		if got, err := stream.JSON[document]().Decode([]byte(data)); err == nil {
			t.Errorf("%q is read as %+v", data, got)
		}
	}
}

func TestJSONNullIsTheZeroValue(t *testing.T) {
	d, err := stream.JSON[document]().Decode([]byte("null"))
	if err != nil || !reflect.DeepEqual(d, document{}) {
		t.Errorf("null is read as %+v, %v", d, err)
	}
	p, err := stream.JSON[*document]().Decode([]byte("null"))
	if err != nil || p != nil {
		t.Errorf("null is read as %+v, %v", p, err)
	}
}

// Deep nesting is an error and not the end of the process.
func TestJSONIsNotReadWithoutBound(t *testing.T) {
	deep := strings.Repeat("[", 1<<20)
	if _, err := stream.JSON[any]().Decode([]byte(deep)); err == nil {
		t.Error("a million brackets are read")
	}
}
