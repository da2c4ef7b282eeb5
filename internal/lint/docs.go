package lint

import (
	"path"
	"regexp"
	"strings"
)

var (
	mdLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fence  = regexp.MustCompile("(?ms)^\\s*```.*?^\\s*```")
	inline = regexp.MustCompile("`[^`\n]*`")
)

// links follows every relative link of every page to a file or folder. Anchors and other sites are not looked at.
func links(t *Tree) []Finding {
	var found collect
	for _, page := range t.texts {
		if path.Ext(page.path) != ".md" {
			continue
		}
		prose := inline.ReplaceAllString(fence.ReplaceAllString(page.text, ""), "")
		for _, m := range mdLink.FindAllStringSubmatch(prose, -1) {
			if target, ok := linkTarget(page.path, m[1]); ok && !t.paths[target] {
				found.in(page.path, "link to %q leads nowhere", m[1])
			}
		}
	}
	return found.sorted()
}

func linkTarget(page, link string) (string, bool) {
	link, _, _ = strings.Cut(link, "#")
	if link == "" || strings.Contains(link, ":") {
		return "", false
	}
	return path.Join(path.Dir(page), link), true
}

var machinePath = regexp.MustCompile(`(^|[\s"'` + "`" + `(=])/(home|root|work|Users)/\w`)

// machinePaths looks at text and at Go alike.
func machinePaths(t *Tree) []Finding {
	var found collect
	for _, f := range t.texts {
		if m := machinePath.FindString(f.text); m != "" {
			found.in(f.path, "path of one machine: %q", strings.TrimSpace(m))
		}
	}
	for _, f := range t.goes {
		for text, pos := range t.comments(f) {
			if machinePath.MatchString(text) {
				found.at(pos, "path of one machine in a comment")
			}
		}
		for text, pos := range t.literals(f) {
			if machinePath.MatchString(text) {
				found.at(pos, "path of one machine in a string")
			}
		}
	}
	return found.sorted()
}
