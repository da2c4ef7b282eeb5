package tables_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/tables"
)

// Every codec of the SDK gives a table its types.
var _ tables.Codec[string] = stream.String()

func TestEncodingsReadWhatTheyWrite(t *testing.T) {
	cases := []struct {
		encoding  tables.Encoding
		raw       string
		written   string
		wrong     bool // the bytes are nothing of this kind
		unwritten string
	}{
		{tables.Text, "a/b ü", "a/b ü", false, "\xff"},
		{tables.JSON, `{"a":1}`, `{"a":1}`, false, `{`},
		{tables.Base64, "\xfb\xff", "-_8", false, "%"},
		{tables.Base64, "", "=", false, "a"},
		{tables.Int64, "\xff\xff\xff\xff\xff\xff\xff\xfe", "-2", false, "1.5"},
		{tables.Text, "\xff", "", true, "\xff"},
		{tables.JSON, "{", "", true, ""},
		{tables.Int64, "1234567", "", true, "x"},
		{tables.Float64, "\x3f\xf8\x00\x00\x00\x00\x00\x00", "1.5", false, "NaN"},
		{tables.Float64, "\x80\x00\x00\x00\x00\x00\x00\x00", "-0", false, "-Inf"},
		{tables.Float64, "\x00\x00\x00\x00\x00\x00\x00\x01", "5e-324", false, "1e999"},
		{tables.Float64, "\x7f\xef\xff\xff\xff\xff\xff\xff", "1.7976931348623157e+308", false, ""},
		{tables.Float64, "\x7f\xf0\x00\x00\x00\x00\x00\x00", "", true, "Infinity"}, // JSON has no such number
		{tables.Float64, "\x7f\xf8\x00\x00\x00\x00\x00\x01", "", true, "nan"},
		{tables.Float64, "1.5", "", true, "1,5"},
		{"hex", "", "", false, "00"},
	}
	for _, c := range cases {
		s, ok := c.encoding.Format([]byte(c.raw))
		if ok == c.wrong || !c.wrong && s != c.written {
			t.Errorf("%s of %q: got %q, %v", c.encoding, c.raw, s, ok)
		}
		if b, err := c.encoding.Parse(c.written); !c.wrong && c.encoding != "hex" && (err != nil || string(b) != c.raw) {
			t.Errorf("%s reads %q: got %q, %v", c.encoding, c.written, b, err)
		}
		if b, err := c.encoding.Parse(c.unwritten); err == nil {
			t.Errorf("%s reads %q: got %q", c.encoding, c.unwritten, b)
		}
	}
}

// TestAnyEntryComesThroughJSON shows entries in every coding, as JSON, and reads them back.
func TestAnyEntryComesThroughJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		any := rapid.SampledFrom([]tables.Encoding{tables.Text, tables.JSON, tables.Base64, tables.Int64, tables.Float64})
		coding := tables.Coding{Key: any.Draw(t, "key encoding"), Value: any.Draw(t, "value encoding")}
		bytesOf := rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 0, 10), rapid.Map(rapid.SampledFrom([]string{"null", `"x"`, "12345678", "\x7f\xf8\x00\x00\x00\x00\x00\x01", "7", "", "<&>\u2028"}), func(s string) []byte { return []byte(s) }))
		e := tables.Entry{Key: rapid.OneOf(bytesOf, rapid.Just([]byte("7 "))).Draw(t, "key"), Time: time.UnixMilli(rapid.Int64Range(0, 1e14).Draw(t, "time")).UTC()}
		if rapid.Bool().Draw(t, "has a value") {
			e.Value = bytesOf.Draw(t, "value")
		}
		raw, err := json.Marshal(coding.Show(e))
		if err != nil {
			t.Fatal(err)
		}
		var shown tables.Shown
		if err := json.Unmarshal(raw, &shown); err != nil {
			t.Fatal(err)
		}
		got, err := coding.Read(shown)
		if err != nil || !bytes.Equal(got.Key, e.Key) || !bytes.Equal(got.Value, e.Value) || (got.Value == nil) != (e.Value == nil) || !got.Time.Equal(e.Time) {
			t.Fatalf("%s came back as %+v, %v", raw, got, err)
		}
	})
}

func TestTokensKeepTheLastRecordOfEachPartition(t *testing.T) {
	a, err := tables.ParseToken("orders/3@7,orders/0@12,orders/3@5")
	if err != nil || a.String() != "orders/0@12,orders/3@7" {
		t.Errorf("got %s, %v", a, err)
	}
	if both := a.And(tables.NewToken(tables.Coordinate{Topic: "a.b_c-d", Partition: 1, Offset: 2})); both.String() != "a.b_c-d/1@2,orders/0@12,orders/3@7" || len(both.Places()) != 3 {
		t.Errorf("got %s", both)
	}
	if zero, err := tables.ParseToken(""); err != nil || !zero.IsZero() {
		t.Errorf("got %v, %v", zero, err)
	}
	for _, wrong := range []string{"orders", "orders/0", "orders/0@-1", "/0@1", "orders/-1@1", "orders/0@1,", "or ders/0@1", "orders/99999999999@1", "orders/0@9223372036854775807", "orders/0@9223372036854775808", "o/0@1;p/0@1"} {
		if got, err := tables.ParseToken(wrong); err == nil {
			t.Errorf("read %q as %s", wrong, got)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add("orders/3@7,orders/0@12")
	f.Fuzz(func(t *testing.T, s string) {
		token, err := tables.ParseToken(s)
		if err != nil {
			return
		}
		again, err := tables.ParseToken(token.String())
		if err != nil || again.String() != token.String() {
			t.Errorf("%q came back as %q, %v", token, again, err)
		}
	})
}

func FuzzReadRecord(f *testing.F) {
	f.Add([]byte(`{"key":"k","value":{"a":1},"headers":{"h":"v"},"time":"2026-01-31T12:00:00Z","partition":3}`))
	f.Add([]byte(`{"key":7,"keyEncoding":"int64","value":"AA==","valueEncoding":"base64"}`))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		var shown tables.ShownRecord
		if json.Unmarshal(raw, &shown) == nil {
			_, _ = shown.Read()
		}
	})
}

func FuzzReadShown(f *testing.F) {
	f.Add([]byte(`{"key":"k","value":null,"deleted":true,"time":"2026-01-31T12:00:00Z","start":""}`), "text", "json")
	f.Fuzz(func(_ *testing.T, raw []byte, key, value string) {
		var shown tables.Shown
		if json.Unmarshal(raw, &shown) == nil {
			_, _ = tables.Coding{Key: tables.Encoding(key), Value: tables.Encoding(value)}.Read(shown)
		}
	})
}

// TestWhatDoesNotFitIntoAnAddressIsNotAsked has a process that would answer a key of 100 kB with a bare status.
func TestWhatDoesNotFitIntoAnAddressIsNotAsked(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked") }))
	defer s.Close()
	client := tables.NewClient(tables.Options{}, s.Listener.Addr().String())
	table := client.Table("shop", "users")
	for name, key := range map[string][]byte{"a key": bytes.Repeat([]byte("k"), 100_000), "a key in base64": bytes.Repeat([]byte{0xff}, 50_000)} {
		_, err := table.Get(t.Context(), key, tables.Ask{})
		var refused *tables.Error
		if !errors.As(err, &refused) || refused.Code != tables.BadRequest || refused.Hint == "" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestTheClientFollowsNoRedirect lets a process send the client, and its token, elsewhere.
func TestTheClientFollowsNoRedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the client went elsewhere") }))
	defer elsewhere.Close()
	s := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	defer s.Close()
	client := tables.NewClient(tables.Options{Token: "secret"}, s.Listener.Addr().String())
	if _, err := client.Tables(t.Context(), ""); err == nil {
		t.Error("got an answer")
	}
}

// TestTheClientGoesOnWhereAnAnswerIsToBeHad has a process that is killed while it answers, and one that is too busy.
func TestTheClientGoesOnWhereAnAnswerIsToBeHad(t *testing.T) {
	const entry = `{"key":"aw","value":"Nw==","time":"1970-01-01T00:00:00Z","partition":2,"by":"p"}`
	killed := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(entry)))
		_, _ = w.Write([]byte(entry[:20]))
	}
	refuses := func(code tables.Code) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_ = json.NewEncoder(w).Encode(tables.Error{Code: code, Message: "no"})
		}
	}
	for _, tc := range []struct {
		name         string
		first        http.HandlerFunc
		asks, writes bool // the next address
	}{
		{"killed while it answers", killed, true, false},
		{"too busy", refuses(tables.Busy), true, true},
		{"not ready", refuses(tables.NotReady), false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			first := httptest.NewServer(tc.first)
			defer first.Close()
			asked := 0
			next := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch asked++; {
				case r.Method == http.MethodPost:
					_, _ = w.Write([]byte(`{"token":"t/0@1"}`))
				case r.URL.Query().Has("watch"):
					_, _ = fmt.Fprintf(w, "data: %s\n\n", entry)
				default:
					_, _ = w.Write([]byte(entry))
				}
			}))
			defer next.Close()
			client := tables.NewClient(tables.Options{}, first.Listener.Addr().String(), next.Listener.Addr().String())
			if a, err := client.Table("t", "n").Get(t.Context(), []byte("k"), tables.Ask{}); (err == nil && string(a.Value) == "7") != tc.asks {
				t.Errorf("asked: got %+v, %v", a, err)
			}
			asked = 0
			if _, err := client.Produce(t.Context(), "t", tables.Record{}); (err == nil) != tc.writes || (asked > 0) != tc.writes {
				t.Errorf("wrote: got %v, and the next one was asked %d times", err, asked)
			}
			if !tc.writes {
				return
			}
			for c, err := range client.Table("t", "n").Watch(t.Context(), tables.Watch{}) {
				if err != nil || string(c.Value) != "7" {
					t.Errorf("watched: got %+v, %v", c, err)
				}
				break
			}
		})
	}
}

func TestTheClientAsksTheNextAddress(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = w.Write([]byte(`{"token":"t/0@1"}`))
			return
		}
		_, _ = w.Write([]byte(`{"key":"aw","value":"Nw==","time":"1970-01-01T00:00:00Z","partition":2,"by":"p"}`))
	}))
	defer s.Close()
	client := tables.NewClient(tables.Options{}, gone.Listener.Addr().String(), s.Listener.Addr().String())
	numbers := tables.Of(client.Table("t", "n"), stream.String(), stream.String())
	if e, err := numbers.Get(t.Context(), "k", tables.Ask{}); err != nil || e.Key != "k" || e.Value != "7" {
		t.Errorf("got %+v, %v", e, err)
	}
	if token, err := client.Produce(t.Context(), "t", tables.Record{}); err != nil || token.String() != "t/0@1" {
		t.Errorf("got %v, %v", token, err)
	}
	client = tables.NewClient(tables.Options{}, gone.Listener.Addr().String())
	if _, err := client.Tables(t.Context(), ""); err == nil {
		t.Error("a process that is gone answered")
	} else if _, ok := errors.AsType[*tables.UnreachableError](err); !ok {
		t.Errorf("got %v", err)
	}
	if _, err := tables.NewClient(tables.Options{}).Tables(t.Context(), ""); err == nil {
		t.Error("nobody answered")
	}
}
