package alert

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// ruleFaults collects every fault of a rule file with its line. rulefmt stops at the first value
// that is not of its type, and names no line for some faults. So each value is tried by itself;
// those at fault are left out, and rulefmt judges what remains, group by group.
type ruleFaults struct {
	file   string
	parser parser.Parser
	found  []lineFault
}

type lineFault struct {
	line int
	text string
}

// ruleFaultsOf is not nil: a file that rulefmt refuses has the faults that rulefmt told, if no
// others.
func (s *RuleSet) ruleFaultsOf(file string, text []byte, told []error) error {
	f := ruleFaults{file: file, parser: s.parser}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		f.addYAML(1, err)
	} else if len(root.Content) > 0 {
		f.root(root.Content[0])
	}
	if len(f.found) == 0 {
		for _, err := range told {
			f.addYAML(1, err)
		}
	}
	slices.SortStableFunc(f.found, func(a, b lineFault) int { return a.line - b.line })
	var all []error
	for _, one := range slices.Compact(f.found) {
		all = append(all, fmt.Errorf("%s:%d: %s", file, one.line, one.text))
	}
	return errors.Join(all...)
}

func (f *ruleFaults) add(line int, text string) { f.found = append(f.found, lineFault{line, text}) }

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

// addYAML adds what the YAML library says of something on a line; it may know better lines.
func (f *ruleFaults) addYAML(line int, err error) {
	texts := []string{err.Error()}
	if typed := new(yaml.TypeError); errors.As(err, &typed) {
		texts = typed.Errors
	}
	for _, text := range texts {
		at := line
		if m := yamlLine.FindStringSubmatch(text); m != nil {
			at, _ = strconv.Atoi(m[1]) // digits
			text = text[len(m[0]):]
		}
		f.add(at, text)
	}
}

func (f *ruleFaults) root(n *yaml.Node) {
	_, groups := f.sift(n, "groups", func() any { return new(rulefmt.RuleGroups) })
	names := map[string]bool{}
	for _, n := range f.items(groups) {
		group, rules := f.sift(n, "rules", func() any { return new(rulefmt.RuleGroup) })
		if group == nil {
			continue
		}
		kept := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		var numbers []int // of the rules that are kept
		for i, n := range f.items(rules) {
			if rule, _ := f.sift(n, "", func() any { return new(rulefmt.Rule) }); rule != nil {
				kept.Content, numbers = append(kept.Content, rule), append(numbers, i+1)
			}
		}
		group.Content = append(group.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "rules"}, kept)
		name := f.group(group, kept.Content, numbers)
		if name != "" && names[name] {
			f.add(group.Line, fmt.Sprintf("groupname: %q is repeated in the same file", name))
		}
		names[name] = true
	}
}

// items are those of a list; nil has none.
func (f *ruleFaults) items(n *yaml.Node) []*yaml.Node {
	n = resolved(n)
	switch {
	case n == nil || n.Tag == "!!null":
		return nil
	case n.Kind != yaml.SequenceNode:
		f.add(n.Line, "must be a list")
		return nil
	}
	return n.Content
}

// sift returns a mapping without the entries at fault, by decoding each into a fresh value; nil where it
// is none. The entry called inner is set apart.
func (f *ruleFaults) sift(n *yaml.Node, inner string, fresh func() any) (kept, apart *yaml.Node) {
	n = resolved(n)
	if n.Kind != yaml.MappingNode {
		f.add(n.Line, "must have keys and values")
		return nil, nil
	}
	kept = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: n.Line, Column: n.Column}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		pair := n.Content[i : i+2]
		key := pair[0]
		if seen[key.Value] {
			f.add(key.Line, fmt.Sprintf("field %s stands twice", key.Value))
			continue
		}
		seen[key.Value] = true
		if key.Value == inner && inner != "" {
			apart = pair[1]
			continue
		}
		if !known(key, fresh()) {
			f.add(key.Line, fmt.Sprintf("field %s is not known here", key.Value))
			continue
		}
		one := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: pair}
		if err := one.Decode(fresh()); err != nil {
			f.addYAML(key.Line, err)
			continue
		}
		kept.Content = append(kept.Content, pair...)
	}
	return kept, apart
}

func resolved(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// known tells whether a value of that type has the field.
func known(key *yaml.Node, into any) bool {
	if key.Tag == "!!merge" {
		return true
	}
	text, err := yaml.Marshal(map[string]any{key.Value: nil})
	if err != nil {
		return false
	}
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	return d.Decode(into) == nil
}

var position = regexp.MustCompile(`^(\d+):\d+: (?:\d+:\d+: )?`)

// group has rulefmt judge a group of which all values are of their types, and returns its name.
func (f *ruleFaults) group(n *yaml.Node, rules []*yaml.Node, numbers []int) string {
	var group rulefmt.RuleGroup
	var node rulefmt.RuleGroupNode
	if err := errors.Join(n.Decode(&group), n.Decode(&node)); err != nil {
		f.addYAML(n.Line, err)
		return ""
	}
	all := rulefmt.RuleGroups{Groups: []rulefmt.RuleGroup{group}}
	// The parameter's type has no name out here.
	for _, err := range all.Validate(struct {
		Groups []rulefmt.RuleGroupNode `yaml:"groups"`
	}{[]rulefmt.RuleGroupNode{node}}, model.UTF8Validation, f.parser) {
		text, line := err.Error(), n.Line
		var rule *rulefmt.Error
		if errors.As(err, &rule) {
			text, line = rule.Err.Error(), rules[rule.Rule-1].Line
		}
		if m := position.FindStringSubmatch(text); m != nil {
			if at, _ := strconv.Atoi(m[1]); at > 0 { // it is 0 for what is not there
				line = at
			}
			text = text[len(m[0]):]
		}
		if rule != nil {
			text = fmt.Sprintf("group %q, rule %d, %q: %s", rule.Group, numbers[rule.Rule-1], rule.RuleName, text)
		}
		f.add(line, text)
	}
	return group.Name
}
