package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidemark-obs/tidemark/internal/declared"
	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/question"
)

// Roll-ups of declared dimensions and numbers. What is declared stands in the database, and all who
// store events count all of it: replicas whose configurations differ add to what the other has
// declared as well. A declaration that nobody has wanted for an hour is dropped.

// declaration is a dimension or a number, as it stands in the database.
type declaration struct {
	ID     int64
	Spec   string
	Budget int
	Since  time.Time // its roll-ups speak for all events from here on

	spec declarationSpec
}

// declarationSpec is what a declaration is. Its JSON is the declaration's identity.
type declarationSpec struct {
	Number   bool     `json:"number,omitempty"`
	Property string   `json:"property"`
	Events   []string `json:"events,omitempty"`
}

func (d *declaration) covers(names []string) bool {
	if len(d.spec.Events) == 0 {
		return true
	}
	missing := func(name string) bool { return !slices.Contains(d.spec.Events, name) }
	return names != nil && !slices.ContainsFunc(names, missing)
}

// declarationOf makes what the database holds of a declaration.
func declarationOf(spec declarationSpec, budget int) (declaration, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return declaration{}, err
	}
	sum := sha256.Sum256(text)
	id := int64(binary.BigEndian.Uint64(sum[:]) >> 1)
	return declaration{ID: id, Spec: string(text), Budget: budget, spec: spec}, nil
}

// declarationsOf are those of a configuration.
func declarationsOf(set *declared.Set) ([]declaration, error) {
	var list []declaration
	add := func(spec declarationSpec, budget int) error {
		d, err := declarationOf(spec, budget)
		list = append(list, d)
		return err
	}
	for _, d := range set.Dimensions() {
		if err := add(declarationSpec{Property: d.Field.String(), Events: d.Events}, d.Values); err != nil {
			return nil, err
		}
	}
	for _, n := range set.Numbers() {
		if err := add(declarationSpec{Number: true, Property: n.Field.String(), Events: n.Events}, 0); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// declarations are several, and the means to read them from events.
type declarations struct {
	list []declaration
	sets []declaredSet
}

// declaredSet reads some of the declarations: all that have different properties, which is mostly
// all there are.
type declaredSet struct {
	*declared.Set
	dimensions, numbers []int // places in the list, by those in the set
}

const selectDeclarations = `SELECT id, spec, budget, since FROM declarations ORDER BY id`

// declarations reads those that this transaction sees, which is about to count.
func (s *Store) declarations(ctx context.Context, ses session) (*declarations, error) {
	if err := s.upToDate(ctx, ses); err != nil {
		return nil, err
	}
	var list []declaration
	if err := ses.SelectContext(ctx, &list, selectDeclarations); err != nil || len(list) == 0 {
		return &declarations{}, err
	}
	return s.asDeclared(list)
}

// asDeclared are some as they stand in the database.
func (s *Store) asDeclared(list []declaration) (*declarations, error) {
	if last := s.declared.Load(); last != nil && slices.EqualFunc(last.list, list, sameDeclaration) {
		for i := range list {
			list[i].spec = last.list[i].spec
		}
		return &declarations{list, last.sets}, nil
	}
	all, err := newDeclarations(list)
	if err == nil {
		s.declared.Store(all)
	}
	return all, err
}

func sameDeclaration(a, b declaration) bool { return a.ID == b.ID && a.Budget == b.Budget }

func newDeclarations(list []declaration) (*declarations, error) {
	all := &declarations{list: list}
	var configs []declared.Config
	for i := range list {
		d := &list[i]
		if err := json.Unmarshal([]byte(d.Spec), &d.spec); err != nil {
			return nil, errs.Wrap(errs.Internal, "a declaration in the database cannot be read", err)
		}
		at := slices.IndexFunc(configs, func(c declared.Config) bool { return fits(&c, &d.spec) })
		if at < 0 {
			at = len(configs)
			configs = append(configs, declared.Config{})
			all.sets = append(all.sets, declaredSet{})
		}
		c, set := &configs[at], &all.sets[at]
		if d.spec.Number {
			c.Numbers = append(c.Numbers, declared.NumberConfig{Property: d.spec.Property, Events: d.spec.Events})
			set.numbers = append(set.numbers, i)
			continue
		}
		c.Dimensions = append(c.Dimensions, declared.DimensionConfig{Property: d.spec.Property, Events: d.spec.Events,
			Values: d.Budget, Label: "d" + strconv.Itoa(i)})
		set.dimensions = append(set.dimensions, i)
	}
	for i := range configs {
		var err error
		if all.sets[i].Set, err = declared.New(configs[i], "declarations"); err != nil {
			return nil, errs.Wrap(errs.Internal, "the declarations in the database cannot be read", err)
		}
	}
	return all, nil
}

// fits reports whether a declaration can join others.
func fits(c *declared.Config, spec *declarationSpec) bool {
	if spec.Number {
		return len(c.Numbers) < declared.MaxNumbers &&
			!slices.ContainsFunc(c.Numbers, func(n declared.NumberConfig) bool { return n.Property == spec.Property })
	}
	return len(c.Dimensions) < declared.MaxDimensions &&
		!slices.ContainsFunc(c.Dimensions, func(d declared.DimensionConfig) bool { return d.Property == spec.Property })
}

// only are the declarations that a condition holds of.
func (all *declarations) only(keep func(*declaration) bool) (*declarations, error) {
	var list []declaration
	for i := range all.list {
		if keep(&all.list[i]) {
			list = append(list, all.list[i])
		}
	}
	if len(list) == len(all.list) {
		return all, nil
	}
	return newDeclarations(list)
}

// ids are written out in SQL: they are numbers of our own making.
func (all *declarations) ids() string {
	var b strings.Builder
	for i := range all.list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.FormatInt(all.list[i].ID, 10))
	}
	return b.String()
}

// metadata reports whether one of the declarations is about what an update can change.
func (all *declarations) metadata() bool {
	return slices.ContainsFunc(all.list, func(d declaration) bool {
		return strings.HasPrefix(d.spec.Property, string(question.Metadata)+".")
	})
}

// place is where a declaration stands in the list, -1 where it does not.
func (all *declarations) place(id int64) int {
	return slices.IndexFunc(all.list, func(d declaration) bool { return d.ID == id })
}
