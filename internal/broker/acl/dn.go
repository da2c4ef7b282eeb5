package acl

import (
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"
)

// keywords are the attributes that RFC 2253 has names for; others are written as numbers.
func keyword(oid string) string {
	switch oid {
	case "2.5.4.3":
		return "CN"
	case "2.5.4.6":
		return "C"
	case "2.5.4.7":
		return "L"
	case "2.5.4.8":
		return "ST"
	case "2.5.4.9":
		return "STREET"
	case "2.5.4.10":
		return "O"
	case "2.5.4.11":
		return "OU"
	case "0.9.2342.19200300.100.1.1":
		return "UID"
	case "0.9.2342.19200300.100.1.25":
		return "DC"
	}
	return ""
}

// attribute is one type and value of a name, the value still encoded: a number needs the encoding, a keyword the text.
type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

type attributeSET []attribute

// distinguishedName writes a subject as RFC 2253 does and Java, hence Kafka, prints it: the most specific part first.
func distinguishedName(raw []byte) (string, error) {
	var sequence []attributeSET
	rest, err := asn1.Unmarshal(raw, &sequence)
	if err != nil || len(rest) > 0 {
		return "", fmt.Errorf("read subject of certificate: not a name")
	}
	parts := make([]string, 0, len(sequence))
	for i := len(sequence) - 1; i >= 0; i-- {
		var set []string
		for _, a := range sequence[i] {
			set = append(set, a.String())
		}
		parts = append(parts, strings.Join(set, "+"))
	}
	return strings.Join(parts, ","), nil
}

func (a attribute) String() string {
	name := keyword(a.Type.String())
	text, isText := a.text()
	switch {
	case name == "":
		return a.Type.String() + "=#" + hex.EncodeToString(a.Value.FullBytes)
	case !isText:
		return name + "=#" + hex.EncodeToString(a.Value.FullBytes)
	}
	return name + "=" + escapeDN(text)
}

func (a attribute) text() (string, bool) {
	var v any
	if _, err := asn1.Unmarshal(a.Value.FullBytes, &v); err != nil {
		return "", false
	}
	s, ok := v.(string)
	return s, ok && utf8.ValidString(s)
}

func escapeDN(s string) string {
	var b strings.Builder
	for i, r := range s {
		first, last := i == 0, i+utf8.RuneLen(r) == len(s)
		switch {
		case strings.ContainsRune(`,+"\<>;`, r), first && r == '#', (first || last) && r == ' ':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == 0:
			b.WriteString(`\00`)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
