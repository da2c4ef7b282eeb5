package document

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

func TestTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		raw := AppendText(nil, s)
		var std string
		if err := json.Unmarshal(raw, &std); err != nil {
			t.Fatalf("%q as %s: %v", s, raw, err)
		}
		if have, err := Text(raw); err != nil || have != std {
			t.Fatalf("%s reads as %q, %v; encoding/json says %q", raw, have, err, std)
		}
		std2, _ := json.Marshal(s)
		if have, err := Text(std2); err != nil || have != std {
			t.Fatalf("%s reads as %q, %v; encoding/json says %q", std2, have, err, std)
		}
	})
}

func TestTextOfOddStringsIsWhatEncodingJSONSays(t *testing.T) {
	for _, raw := range []string{`"\ud83d\ude00"`, `"\ud800"`, `"\ud800\u0041"`, `"\udc00\ud800"`, "\"\xff\xc3\"", `"\/\b\f\u0000"`, `""`} {
		var want string
		if err := json.Unmarshal([]byte(raw), &want); err != nil {
			t.Fatal(err)
		}
		if have, err := Text([]byte(raw)); err != nil || have != want {
			t.Errorf("%s: %q, %v; want %q", raw, have, err, want)
		}
	}
}
