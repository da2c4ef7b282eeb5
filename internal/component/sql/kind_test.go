package sql

import (
	"fmt"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// TestWholeNumberAgreesWithExactArithmetic compares with a rational number of any size.
func TestWholeNumberAgreesWithExactArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		literal := rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,6})?([eE][+-]?[0-9]{1,2})?`).Draw(t, "literal")
		exact, ok := new(big.Rat).SetString(literal)
		if !ok {
			t.Fatalf("%q is no number", literal)
		}
		got, err := wholeNumber(literal, 64)
		if fits := exact.IsInt() && exact.Num().IsInt64(); fits != (err == nil) {
			t.Fatalf("%q: fits %v, got %d, %v", literal, fits, got, err)
		} else if fits && exact.Num().Int64() != got {
			t.Fatalf("%q: got %d, want %s", literal, got, exact.Num())
		}
	})
}

func TestWholeNumberIsBounded(t *testing.T) {
	for _, literal := range []string{"1e999999999999", "-1e-999999999999", "1e1048576", "123e-1048576"} {
		if n, err := wholeNumber(literal, 64); err == nil {
			t.Errorf("%s: got %d", literal, n)
		}
	}
	if n, err := wholeNumber("0e999999999", 64); n != 0 || err != nil {
		t.Errorf("zero: got %d, %v", n, err)
	}
}

func TestSQLiteTypes(t *testing.T) {
	for declared, want := range map[string]kind{
		"INTEGER": kindInteger, "bigint": kindInteger, "VARCHAR(20)": kindText, "text": kindText, "": kindText, "BLOB": kindBytes,
		"double precision": kindReal, "NUMERIC(10,2)": kindNumeric, "DECIMAL": kindNumeric, "BOOLEAN": kindBoolean, "JSONB": kindJSON,
		"DATETIME": kindTimestamp, "timestamp with time zone": kindTimestamp,
	} {
		t.Run(fmt.Sprintf("%q", declared), func(t *testing.T) {
			if got := sqliteKind(declared); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestOneEdit(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"amount", "amounts", true}, {"amount", "amuont", true}, {"amount", "amoumt", true}, {"amount", "amount", false},
		{"amount", "total", false}, {"id", "x", false}, {"", "a", true}, {"ab", "abcd", false},
	} {
		if got := oneEdit(tc.a, tc.b); got != tc.want {
			t.Errorf("%q and %q: %v", tc.a, tc.b, got)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Config)
		path   string
	}{
		{"no key", func(c *Config) { c.Key = nil }, "key"},
		{"a key that is no column", func(c *Config) { c.Key = Names{"nobody"} }, "key"},
		{"a key twice", func(c *Config) { c.Key = Names{"id", "id"} }, "key"},
		{"create without columns", func(c *Config) { c.Columns = nil }, "columns"},
		{"deletes of rows that are only appended", func(c *Config) { c.Mode, c.Key, c.Deletes = modeAppend, nil, true }, "deletes"},
		{"deletes by fields that are gone", func(c *Config) {
			c.Key, c.Deletes = Names{"$key", "note"}, true
			c.Columns["$key"] = Column{Field: "$key"}
		}, "deletes"},
		{"postgres without an address", func(c *Config) { c.Driver = "postgres" }, "dsn"},
		{"an unknown part of a record", func(c *Config) { c.Columns["x"] = Column{Field: "$kye"} }, "columns.x"},
		{"a path that is none", func(c *Config) { c.Columns["x"] = Column{Field: "a..b"} }, "columns.x"},
		{"a header without a name", func(c *Config) { c.Columns["x"] = Column{Field: "header:"} }, "columns.x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := messages()
			c.Driver, c.Mode = "sqlite", modeUpsert
			if problems := check(&c); len(problems) > 0 {
				t.Fatalf("before: %v", problems)
			}
			tc.change(&c)
			problems := check(&c)
			if len(problems) != 1 || problems[0].Path != tc.path || problems[0].Code == "" {
				t.Errorf("got %+v, want one problem at %q", problems, tc.path)
			}
		})
	}
}
