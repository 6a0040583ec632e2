package app

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// configFile is a configuration file as it was read, so that faults found later can name the line.
type configFile struct {
	path  string
	lines map[string]int // by the key's path, as alerts.scrape[0].job
	said  Config         // defaults and file, before environment and flags
}

// ReadFile lays a YAML file over c. An error names the file and the line.
func (c *Config) ReadFile(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the configuration file: %w", err)
	}
	if strings.TrimSpace(string(b)) == "" {
		return nil
	}
	if err := yaml.UnmarshalWithOptions(b, c, yaml.Strict()); err != nil {
		// Without the lines around the fault: they may hold secrets.
		return fmt.Errorf("%s: %s", path, yaml.FormatError(err, false, false))
	}
	parsed, err := parser.ParseBytes(b, 0)
	if err != nil {
		return fmt.Errorf("%s: %s", path, yaml.FormatError(err, false, false))
	}
	f := configFile{path: path, lines: map[string]int{}}
	for _, doc := range parsed.Docs {
		f.note("", doc.Body)
	}
	f.said = *c
	c.file = &f
	return nil
}

// note notes the lines of all keys below a node.
func (f *configFile) note(path string, n ast.Node) {
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			f.note(path, v)
		}
	case *ast.MappingValueNode:
		t := n.Key.GetToken()
		key := strings.TrimPrefix(path+"."+t.Value, ".")
		f.lines[key] = t.Position.Line
		f.note(key, n.Value)
	case *ast.SequenceNode:
		for i, v := range n.Values {
			item := fmt.Sprintf("%s[%d]", path, i)
			f.lines[item] = v.GetToken().Position.Line
			f.note(item, v)
		}
	}
}

// locate gives a fault that begins with a key the file and line of it, or of the nearest key above
// it that the file has.
func (f *configFile) locate(fault error) error {
	key, _, _ := strings.Cut(fault.Error(), ": ")
	for key != "" {
		if line, ok := f.lines[key]; ok {
			return fmt.Errorf("%s:%d: %w", f.path, line, fault)
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
	return fault
}

// Check reads the URL files and reports every value that cannot be. What the configuration file
// says, and neither environment nor flags have changed, is reported with its line.
func (c *Config) Check() error {
	faults := flatten(c.faults())
	if c.file != nil && len(faults) > 0 {
		said := map[string]bool{}
		for _, fault := range flatten(c.file.said.faults()) {
			said[fault.Error()] = true
		}
		for i, fault := range faults {
			if said[fault.Error()] {
				faults[i] = c.file.locate(fault)
			}
		}
	}
	return errors.Join(faults...)
}

// flatten lists the errors that were joined.
func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, flatten(e)...)
		}
		return all
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
