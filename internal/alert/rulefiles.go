package alert

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// Bounds of rule files.
const (
	maxRuleFile  = 4 << 20 // bytes
	maxRuleFiles = 1000
)

// builtInDir is the directory that built-in rule files would have on disk. A group is evaluated
// at times that follow from its file's name, so they keep it.
const builtInDir = "alerts"

// RuleSet is rule files that have been read and found valid. The rule manager loads from it, so
// that a file that changes meanwhile cannot break an update halfway.
type RuleSet struct {
	files  []string // sorted
	groups map[string]*rulefmt.RuleGroups
	parser parser.Parser

	builtIn bool // the files are those that come with the program

	recorded map[string][]recording // by the series' name
}

// ReadRules reads the files that the patterns match and, when there are none, the built-in
// *.rules.yaml (nil = none). An error tells all faults of all files, each with file and line.
func ReadRules(patterns []string, builtIn fs.FS) (*RuleSet, error) {
	var files []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pattern, err)
		}
		if len(found) == 0 && !strings.ContainsAny(pattern, `*?[`) {
			found = []string{pattern} // reading it says why it cannot be
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	files = slices.Compact(files)
	if len(files) > 0 || builtIn == nil {
		return ReadRuleFiles(files)
	}
	set := newRuleSet()
	set.builtIn = true
	return set, set.addBuiltIn(builtIn)
}

// ReadRuleFiles reads the files of these names.
func ReadRuleFiles(files []string) (*RuleSet, error) {
	if len(files) > maxRuleFiles {
		return nil, fmt.Errorf("more than %d rule files", maxRuleFiles)
	}
	set := newRuleSet()
	var all []error
	for _, file := range files {
		text, err := readFile(file)
		if err == nil {
			err = set.add(file, text)
		}
		all = append(all, err)
	}
	if err := errors.Join(all...); err != nil {
		return nil, err
	}
	return set, nil
}

func newRuleSet() *RuleSet {
	return &RuleSet{
		groups: make(map[string]*rulefmt.RuleGroups), recorded: make(map[string][]recording),
		parser: parser.NewParser(parser.Options{}),
	}
}

func readFile(file string) (text []byte, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err // it names the file
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if text, err = io.ReadAll(io.LimitReader(f, maxRuleFile+1)); err != nil {
		return nil, err
	}
	if len(text) > maxRuleFile {
		return nil, fmt.Errorf("%s: more than %d bytes", file, maxRuleFile)
	}
	return text, nil
}

func (s *RuleSet) addBuiltIn(files fs.FS) error {
	names, err := fs.Glob(files, "*.rules.yaml")
	for _, name := range names {
		text, readErr := fs.ReadFile(files, name)
		if readErr == nil {
			readErr = s.add(path.Join(builtInDir, name), text)
		}
		err = errors.Join(err, readErr)
	}
	return err
}

// add parses one file: its YAML, its expressions and the templates in its annotations.
func (s *RuleSet) add(file string, text []byte) error {
	groups, errs := rulefmt.Parse(text, false, model.UTF8Validation, s.parser, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		return s.ruleFaultsOf(file, text, errs)
	}
	s.files = append(s.files, file)
	s.groups[file] = groups
	s.addRecordings(groups)
	return nil
}

// Files are the names of the files, sorted.
func (s *RuleSet) Files() []string { return slices.Clone(s.files) }

// Rules is how many rules there are.
func (s *RuleSet) Rules() int {
	n := 0
	for _, file := range s.groups {
		for _, g := range file.Groups {
			n += len(g.Rules)
		}
	}
	return n
}

// ruleSource is the rule manager's loader. What it loads from is changed before each update.
type ruleSource struct{ set atomic.Pointer[RuleSet] }

// Load returns a file of the set.
func (s *ruleSource) Load(file string, _ bool, _ model.ValidationScheme) (*rulefmt.RuleGroups, []error) {
	groups, ok := s.set.Load().groups[file]
	if !ok {
		return nil, []error{fmt.Errorf("%s is not among the rule files", file)}
	}
	return groups, nil
}

// Parse parses one expression of it.
func (s *ruleSource) Parse(query string) (parser.Expr, error) {
	return s.set.Load().parser.ParseExpr(query)
}
