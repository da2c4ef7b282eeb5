package cli

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"

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
	eachField(r.Value, func(name string, v gjson.Result) {
		if !v.IsObject() && !v.IsArray() {
			words = append(words, p.dim(readable([]byte(name))+" ")+shown(v))
		}
	})
	return []string{strings.Join(words, "  ")}
}

// enrichmentLines is the record's nested fields, one line per innermost object.
func enrichmentLines(p paint, value []byte) []string {
	var lines []string
	eachField(value, func(name string, v gjson.Result) {
		if v.IsObject() || v.IsArray() {
			lines = append(lines, nested(p, name, v)...)
		}
	})
	return lines
}

const nestedLinesMax = 20

func nested(p paint, path string, v gjson.Result) (lines []string) {
	var words []string
	v.ForEach(func(key, inner gjson.Result) bool {
		switch {
		case inner.IsObject():
			lines = append(lines, nested(p, path+"."+key.String(), inner)...)
		case v.IsArray():
			words = append(words, readable([]byte(inner.Raw)))
		default:
			words = append(words, p.dim(readable([]byte(key.String()))+" ")+shown(inner))
		}
		return len(lines) < nestedLinesMax
	})
	if len(words) > 0 {
		lines = append([]string{p.green(readable([]byte(path))) + "  " + strings.Join(words, "  ")}, lines...)
	}
	return lines
}

// shown is a plain value: text without quotes, a number as it is written.
func shown(v gjson.Result) string {
	if v.Type == gjson.String {
		return readable([]byte(v.Str))
	}
	return readable([]byte(v.Raw))
}

func eachField(value []byte, visit func(name string, v gjson.Result)) {
	doc := gjson.ParseBytes(value)
	if !doc.IsObject() || !gjson.ValidBytes(value) {
		return
	}
	doc.ForEach(func(key, v gjson.Result) bool {
		visit(key.String(), v)
		return true
	})
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
