package acl

import (
	"crypto/tls"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

const maxRulesBytes = 16 * 1024

// Mapping turns the subject of a client's certificate into a principal. The zero Mapping takes the subject as it is.
type Mapping struct{ rules []mappingRule }

// mappingRule rewrites subjects that its pattern matches as a whole; without a pattern it takes any as it is.
type mappingRule struct {
	pattern     *regexp.Regexp
	replacement []piece
	fold        func(string) string
}

// piece is a part of a replacement: text, or what a group of the pattern matched.
type piece struct {
	text  string
	group int // -1: text; 0: the whole
}

// ParseMapping reads rules in the form of Kafka's ssl.principal.mapping.rules: a list, separated by commas, of DEFAULT
// and RULE:pattern/replacement/ with an L or U at the end for lower or upper case. A slash inside is written \/.
// The first rule that matches decides. The empty string is DEFAULT.
func ParseMapping(text string) (Mapping, error) {
	if len(text) > maxRulesBytes {
		return Mapping{}, fmt.Errorf("parse mapping rules: longer than %d bytes", maxRulesBytes)
	}
	var m Mapping
	rest := strings.TrimSpace(text)
	for rest != "" {
		r, after, err := parseMappingRule(rest)
		if err != nil {
			return Mapping{}, fmt.Errorf("parse mapping rule %d: %w", len(m.rules)+1, err)
		}
		m.rules = append(m.rules, r)
		after = strings.TrimSpace(after)
		next, found := strings.CutPrefix(after, ",")
		if after != "" && !found {
			return Mapping{}, fmt.Errorf("parse mapping rule %d: %q after its end", len(m.rules), after)
		}
		rest = strings.TrimSpace(next)
	}
	return m, nil
}

func parseMappingRule(s string) (r mappingRule, rest string, err error) {
	if after, ok := strings.CutPrefix(s, "DEFAULT"); ok {
		return r, after, nil
	}
	body, ok := strings.CutPrefix(s, "RULE:")
	if !ok {
		return r, "", errors.New("it begins with neither DEFAULT nor RULE")
	}
	pattern, body, ok1 := cutSlash(body)
	replacement, body, ok2 := cutSlash(body)
	if !ok1 || !ok2 {
		return r, "", errors.New("it is not RULE:pattern/replacement/")
	}
	if r.pattern, err = regexp.Compile("^(?:" + pattern + ")$"); err != nil {
		return r, "", fmt.Errorf("pattern %q: %w", pattern, err)
	}
	if r.replacement, err = parseReplacement(replacement, r.pattern.NumSubexp()); err != nil {
		return r, "", err
	}
	switch {
	case strings.HasPrefix(body, "L"):
		r.fold, body = strings.ToLower, body[1:]
	case strings.HasPrefix(body, "U"):
		r.fold, body = strings.ToUpper, body[1:]
	}
	return r, body, nil
}

// cutSlash cuts at the first slash that no backslash precedes; \/ becomes a slash, other escapes stay.
func cutSlash(s string) (before, after string, found bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '/':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '/':
			b.WriteByte('/')
			i++
		case s[i] == '\\' && i+1 < len(s):
			b.WriteString(s[i : i+2])
			i++
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

// parseReplacement reads $1 as a group, with as many digits as there are groups for, and \x as x.
func parseReplacement(s string, groups int) (pieces []piece, err error) {
	var text strings.Builder
	for i := 0; i < len(s); i++ {
		n, width := groupAt(s[i:], groups)
		switch {
		case width > 0:
			pieces = append(pieces, piece{text.String(), -1}, piece{group: n})
			text.Reset()
			i += width - 1
		case s[i] == '\\' && i+1 < len(s):
			i++
			text.WriteByte(s[i])
		case s[i] == '$' && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9':
			return nil, fmt.Errorf("replacement %q names a group that the pattern does not have", s)
		default:
			text.WriteByte(s[i])
		}
	}
	return append(pieces, piece{text.String(), -1}), nil
}

func groupAt(s string, groups int) (n, width int) {
	if !strings.HasPrefix(s, "$") {
		return 0, 0
	}
	for end := 2; end <= len(s); end++ {
		v, err := strconv.ParseUint(s[1:end], 10, 16)
		if err != nil || int(v) > groups {
			break
		}
		n, width = int(v), end
	}
	return n, width
}

// Principal tells who a connection is by its certificate: Anonymous if it has shown none. A subject that no rule matches
// is an error: the client is refused rather than taken for somebody.
func (m Mapping) Principal(c tls.ConnectionState) (Principal, error) {
	if len(c.PeerCertificates) == 0 {
		return Anonymous, nil
	}
	subject, err := distinguishedName(c.PeerCertificates[0].RawSubject)
	if err != nil {
		return "", err
	}
	name, ok := m.apply(subject)
	if !ok || name == "" {
		return "", fmt.Errorf("map subject %q: no rule makes a name of it", subject)
	}
	return UserPrincipal(name), nil
}

func (m Mapping) apply(subject string) (string, bool) {
	if len(m.rules) == 0 {
		return subject, true
	}
	for _, r := range m.rules {
		if name, ok := r.apply(subject); ok {
			return name, true
		}
	}
	return "", false
}

func (r mappingRule) apply(subject string) (string, bool) {
	if r.pattern == nil {
		return subject, true
	}
	found := r.pattern.FindStringSubmatch(subject)
	if found == nil {
		return "", false
	}
	var b strings.Builder
	for _, p := range r.replacement {
		if p.group >= 0 {
			b.WriteString(found[p.group])
		}
		b.WriteString(p.text)
	}
	if r.fold != nil {
		return r.fold(b.String()), true
	}
	return b.String(), true
}
