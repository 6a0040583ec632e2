package alert

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryFaultOfARuleFileIsTold has each kind of fault that rulefmt finds, those that it finds
// one at a time and those whose lines it does not tell.
func TestEveryFaultOfARuleFileIsTold(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"of every kind": {`groups:
  - name: a
    rules:
      - alert: One
        expr: 'sum(('
      - alert: Two
        expr: up == 0
        annotations:
          summary: '{{ .Nope '
      - not a rule
      - record: three
        expr: 'rate(x)'
        for: 5m
  - name: b
    intervall: 1m
    interval: soon
    labels: {__name__: x}
    rules:
      - alert: Four
        expr: up
        for: 5x
        keep_firing_for: [1m]
      - &five
        alert: Five
        exprr: up
      - *five
  - rules: {}
  - name: a
    rules:
  - 7
colour: red
`, `
5: group "a", rule 1, "One": could not parse expression: 1:6: parse error: unclosed left parenthesis
6: group "a", rule 2, "Two": annotation "summary": template: __alert_Two:1: unclosed action
10: must have keys and values
11: group "a", rule 4, "three": invalid field 'for' in recording rule
12: group "a", rule 4, "three": could not parse expression: 1:6: parse error: expected type range vector in call to function "rate", got instant vector
14: invalid label name: __name__
15: field intervall is not known here
16: not a valid duration string: "soon"
21: unknown unit "x" in duration "5x"
22: cannot unmarshal !!seq into string
23: group "b", rule 2, "Five": field 'expr' must be set in rule
23: group "b", rule 3, "Five": field 'expr' must be set in rule
25: field exprr is not known here
27: must be a list
27: Groupname must not be empty
28: groupname: "a" is repeated in the same file
30: must have keys and values
31: field colour is not known here
`},
		"no YAML":      {"groups:\n\t- name: a\n", "\n2: found character that cannot start any token\n"},
		"no mapping":   {"- a\n", "\n1: must have keys and values\n"},
		"a key twice":  {"groups:\n  - name: a\n    rules:\n      - alert: A\n        expr: up\n        expr: up\n", "\n6: field expr stands twice\n"},
		"groups twice": {"groups: []\ngroups: []\n", "\n2: field groups stands twice\n"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.rules.yaml")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := ReadRuleFiles([]string{file})
			if err == nil {
				t.Fatal("it is taken")
			}
			if got := strings.ReplaceAll("\n"+err.Error()+"\n", file+":", ""); got != c.want {
				t.Errorf("told%swant%s", got, c.want)
			}
		})
	}
}
