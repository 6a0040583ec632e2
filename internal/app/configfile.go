package app

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// configFile is a configuration file as it was read, so that faults found later can name the line.
type configFile struct {
	path  string
	lines map[string]int // by the key's path, as alerts.scrape[0].job
	said  Config         // defaults and file, before environment and flags
}

// fileFault is a fault and where it is.
type fileFault struct {
	path string
	line int
	err  error
}

func (f *fileFault) Error() string { return fmt.Sprintf("%s:%d: %v", f.path, f.line, f.err) }

func (f *fileFault) Unwrap() error { return f.err }

// CheckFile tells every fault of a configuration file, by line.
func CheckFile(path string) error {
	c := Default()
	faults := flatten(errors.Join(c.ReadFile(path), c.Check()))
	lineOf := func(err error) int {
		if f := new(fileFault); errors.As(err, &f) {
			return f.line
		}
		return 0
	}
	slices.SortStableFunc(faults, func(a, b error) int { return lineOf(a) - lineOf(b) })
	return errors.Join(faults...)
}

// maxFileFaults is how many faults of a file's form are told at once.
const maxFileFaults = 100

// ReadFile lays a YAML file over c. An error names the file, and for every fault the line and the
// key; everything else that the file says is in c then.
func (c *Config) ReadFile(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the configuration file: %w", err)
	}
	parsed, err := parser.ParseBytes(b, 0)
	if at := yaml.Error(nil); errors.As(err, &at) {
		return fmt.Errorf("%s:%d: %s", path, at.GetToken().Position.Line, at.GetMessage())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(parsed.Docs) > 1 {
		return &fileFault{path, parsed.Docs[1].Start.Position.Line, errors.New("only one document is read; take this line and what is above or below it out")}
	}
	f := configFile{path: path, lines: map[string]int{}}
	for _, doc := range parsed.Docs {
		f.note("", doc.Body)
	}
	var faults []error
	if len(parsed.Docs) > 0 && parsed.Docs[0].Body != nil {
		faults = f.decode(parsed.Docs[0].Body, c)
	}
	f.said = *c
	c.file = &f
	return errors.Join(faults...)
}

// decode lays a document over c. The library stops at the first fault, so what is at fault is cut
// out of the document until the rest can be read.
func (f *configFile) decode(body ast.Node, c *Config) (faults []error) {
	for {
		trial := *c
		err := yaml.NodeToValue(body, &trial, yaml.Strict())
		if err == nil {
			*c = trial
			return faults
		}
		var at yaml.Error
		if !errors.As(err, &at) {
			return append(faults, fmt.Errorf("%s: %w", f.path, err))
		}
		line := at.GetToken().Position.Line
		key, ok := cut("", body, at.GetToken())
		if !ok || len(faults) == maxFileFaults {
			return append(faults, &fileFault{f.path, line, errors.New(wants(at))})
		}
		faults = append(faults, &fileFault{f.path, line, fmt.Errorf("%s: %s", key, wants(at))})
	}
}

// cut takes the innermost entry that has the token out of a document, and returns its key.
func cut(path string, n ast.Node, at *token.Token) (key string, ok bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		for i, v := range n.Values {
			key := strings.TrimPrefix(path+"."+v.Key.GetToken().Value, ".")
			if inner, ok := cut(key, v.Value, at); ok {
				return inner, true
			}
			if v.Key.GetToken() == at || v.Value.GetToken() == at {
				n.Values = slices.Delete(n.Values, i, i+1)
				return key, true
			}
		}
	case *ast.SequenceNode:
		for i, v := range n.Values {
			item := fmt.Sprintf("%s[%d]", path, i)
			if inner, ok := cut(item, v, at); ok {
				return inner, true
			}
			if v.GetToken() == at {
				n.Values = slices.Delete(n.Values, i, i+1)
				return item, true
			}
		}
	}
	return "", false
}

// wants says what is wrong with a value without repeating it: it may be a secret.
func wants(fault yaml.Error) string {
	var (
		typed  *yaml.TypeError
		shaped *yaml.UnexpectedNodeTypeError
	)
	switch {
	case errors.As(fault, new(*yaml.UnknownFieldError)):
		return "is not a setting"
	case errors.As(fault, &shaped) && shaped.Expected == ast.SequenceType:
		return "wants a list"
	case errors.As(fault, &shaped) && shaped.Expected == ast.MappingType:
		return "wants keys and values"
	case !errors.As(fault, &typed):
		return fault.GetMessage()
	}
	switch typed.DstType.Kind() {
	case reflect.Bool:
		return "wants true or false"
	case reflect.Int, reflect.Int64:
		return "wants a whole number"
	case reflect.Float64:
		return "wants a number"
	case reflect.String:
		return "wants text"
	}
	return fault.GetMessage()
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
			return &fileFault{f.path, line, fault}
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
