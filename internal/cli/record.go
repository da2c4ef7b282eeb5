package cli

import (
	"fmt"
	"iter"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/record"
)

// recordPage shows a record the way people want to look at it: message, enrichments, services, cluster, raw.
func recordPage(p paint, cluster string, r *kgo.Record) string {
	page := &page{paint: p}
	title := fmt.Sprintf("%s/%d@%d", r.Topic, r.Partition, r.Offset)
	page.line(p.bold(p.cyan(title)) + "  " + p.dim(r.Timestamp.Format("2006-01-02 15:04:05.000")))
	page.block("message", messageLines(p, r))
	page.block("enrichments", enrichmentLines(p, r.Value))
	page.block("services", []string{strings.Join(serviceWords(p, r), ", ")})
	page.block("cluster", []string{fmt.Sprintf("%s, partition %d, offset %d", cluster, r.Partition, r.Offset)})
	page.block("raw", []string{p.dim(rawLine(r.Value))})
	return page.String()
}

// page is lines in blocks with a name on the left.
type page struct {
	strings.Builder
	paint paint
}

func (p *page) line(s string) { p.WriteString(s + "\n") }

func (p *page) block(name string, lines []string) {
	for i, l := range lines {
		if l == "" {
			continue
		}
		if i > 0 {
			name = ""
		}
		p.line("  " + p.paint.bold(fmt.Sprintf("%-12s", name)) + l)
	}
}

// messageLines is the record's key and its plain fields.
func messageLines(p paint, r *kgo.Record) []string {
	var words []string
	if r.Key != nil {
		words = append(words, p.dim("key ")+readable(r.Key))
	}
	for name, v := range fieldsOf(r.Value) {
		if !isNested(v) {
			words = append(words, p.dim(readable([]byte(name))+" ")+shown(v))
		}
	}
	return []string{strings.Join(words, "  ")}
}

// enrichmentLines is the record's nested fields, one line per innermost object.
func enrichmentLines(p paint, value []byte) []string {
	var lines []string
	for name, v := range fieldsOf(value) {
		if isNested(v) {
			lines = append(lines, nested(p, name, v)...)
		}
	}
	return lines
}

const nestedLinesMax = 20

func nested(p paint, path string, v []byte) (lines []string) {
	var words []string
	if document.KindOf(v) == document.KindList {
		for inner := range document.Elements(v) {
			words = append(words, readable(inner))
		}
	}
	for name, inner := range fieldsOf(v) {
		switch {
		case len(lines) >= nestedLinesMax:
		case document.KindOf(inner) == document.KindObject:
			lines = append(lines, nested(p, path+"."+name, inner)...)
		default:
			words = append(words, p.dim(readable([]byte(name))+" ")+shown(inner))
		}
	}
	if len(words) > 0 {
		lines = append([]string{p.green(readable([]byte(path))) + "  " + strings.Join(words, "  ")}, lines...)
	}
	return lines
}

func isNested(v []byte) bool {
	k := document.KindOf(v)
	return k == document.KindObject || k == document.KindList
}

// shown is a plain value: text without quotes, a number as it is written.
func shown(v []byte) string {
	if text, err := document.Text(v); err == nil {
		return readable([]byte(text))
	}
	return readable(v)
}

// fieldsOf runs over the fields of a JSON object; anything else has none.
func fieldsOf(value []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		var o document.Object
		if document.Valid(value) != nil || o.Read(value) != nil {
			return
		}
		for name, v := range o.All() {
			text, err := document.Text(name)
			if err == nil && !yield(text, v) {
				return
			}
		}
	}
}

// serviceWords says which version of which service answered which bolt, from the headers the call bolts leave.
func serviceWords(p paint, r *kgo.Record) []string {
	var words []string
	for _, h := range r.Headers {
		if bolt, ok := strings.CutPrefix(h.Key, record.HeaderAnswered); ok {
			words = append(words, answeredWord(p, bolt, readable(h.Value)))
		}
		if bolt, ok := strings.CutPrefix(h.Key, record.HeaderDegraded); ok {
			words = append(words, p.yellow(readable(h.Value)+" fallback")+inBolt(p, bolt, string(h.Value)))
		}
	}
	return words
}

func answeredWord(p paint, bolt, answered string) string {
	service, version, _ := strings.Cut(answered, "/")
	return service + " " + p.yellow(version) + inBolt(p, bolt, service)
}

// inBolt names the bolt where it is not called like the service.
func inBolt(p paint, bolt, service string) string {
	if bolt == service {
		return ""
	}
	return p.dim(" (" + readable([]byte(bolt)) + ")")
}

func rawLine(value []byte) string {
	if value == nil {
		return "(tombstone: no value)"
	}
	return readable(value)
}
