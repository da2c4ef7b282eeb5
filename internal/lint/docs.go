package lint

import (
	"path"
	"regexp"
	"slices"
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

// The page that lists every command, written by the program.
const commandsPage = "docs/reference/commands.md"

var (
	commandHeading = regexp.MustCompile(`(?m)^## raven (.+)$`)
	commandFlag    = regexp.MustCompile("`--([a-z-]+)`")
	commandUsed    = regexp.MustCompile("(?m)(?:^\\s*(?:\\$ )?|`)raven ((?:[a-z][a-z-]*)(?: [^`|;#\n]*)?)")
	flagUsed       = regexp.MustCompile(`(?:^|\s)--([a-z][a-z-]*)`)
)

// Commands that help does not show.
var hiddenCommands = []string{"docs", "example-service", "bench", "help", "completion"}

// commands compares every command line in the documentation with the commands there are.
func commands(t *Tree) []Finding {
	var found collect
	reference, _ := t.Text(commandsPage)
	flags := flagsByCommand(reference)
	for _, page := range t.texts {
		if path.Ext(page.path) != ".md" || page.path == commandsPage {
			continue
		}
		for _, line := range commandLines(page.text) {
			name := longestCommand(flags, line)
			if name == "" {
				if first, _, _ := strings.Cut(line, " "); !slices.Contains(hiddenCommands, first) {
					found.in(page.path, "there is no command \"raven %s\"", line)
				}
				continue
			}
			for _, m := range flagUsed.FindAllStringSubmatch(line, -1) {
				if !slices.Contains(flags[name], m[1]) && !slices.Contains(flags[""], m[1]) && m[1] != "help" {
					found.in(page.path, "command \"raven %s\" has no flag --%s", name, m[1])
				}
			}
		}
	}
	return found.sorted()
}

// flagsByCommand reads the reference; the flags of all commands are under the empty name.
func flagsByCommand(reference string) map[string][]string {
	flags := map[string][]string{}
	heads := commandHeading.FindAllStringSubmatchIndex(reference, -1)
	name, from := "", 0
	for i := 0; i <= len(heads); i++ {
		to := len(reference)
		if i < len(heads) {
			to = heads[i][0]
		}
		flags[name] = []string{}
		for _, m := range commandFlag.FindAllStringSubmatch(reference[from:to], -1) {
			flags[name] = append(flags[name], m[1])
		}
		if i < len(heads) {
			name, from = reference[heads[i][2]:heads[i][3]], heads[i][1]
		}
	}
	return flags
}

// commandLines finds what follows "raven" at the beginning of a line of a block, or of words in code quotes.
func commandLines(page string) (lines []string) {
	for _, block := range append(fence.FindAllString(page, -1), inline.FindAllString(fence.ReplaceAllString(page, ""), -1)...) {
		for _, m := range commandUsed.FindAllStringSubmatch(block, -1) {
			lines = append(lines, strings.TrimSpace(m[1]))
		}
	}
	return lines
}

func longestCommand(flags map[string][]string, line string) string {
	words := strings.Fields(line)
	for n := len(words); n > 0; n-- {
		if name := strings.Join(words[:n], " "); flags[name] != nil {
			return name
		}
	}
	return ""
}
