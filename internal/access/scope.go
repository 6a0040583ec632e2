package access

import (
	"slices"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// Scope is what a key may be used for; values are sets that can be joined by |.
type Scope uint8

// The scopes. Admin implies both others, each other one only itself.
const (
	Ingest Scope = 1 << iota // send events
	Read                     // ask for events and statistics
	admin                    // change settings and keys, delete
	Admin  = admin | Ingest | Read
)

// ScopeNames lists the names of the scopes.
func ScopeNames() []string { return []string{"ingest", "read", "admin"} }

// ParseScopes joins scopes by name; kind Invalid when one is unknown or there are none.
func ParseScopes(names []string) (Scope, error) {
	scopes, unknown := scopesOf(names)
	switch {
	case unknown:
		return 0, errs.New(errs.Invalid, "a scope is one of ingest, read and admin")
	case scopes == 0:
		return 0, errs.New(errs.Invalid, "a key needs at least one scope: ingest, read or admin")
	}
	return scopes, nil
}

// Has reports whether s holds all of need.
func (s Scope) Has(need Scope) bool { return s&need == need }

// Names returns the fewest names that make up s.
func (s Scope) Names() []string {
	switch {
	case s.Has(Admin):
		return []string{"admin"}
	case s.Has(Ingest | Read):
		return []string{"ingest", "read"}
	case s.Has(Ingest):
		return []string{"ingest"}
	case s.Has(Read):
		return []string{"read"}
	default:
		return []string{}
	}
}

// scopesOf leaves out what this version does not know: such a scope grants nothing.
func scopesOf(names []string) (scopes Scope, unknown bool) {
	for _, name := range names {
		switch slices.Index(ScopeNames(), name) {
		case 0:
			scopes |= Ingest
		case 1:
			scopes |= Read
		case 2:
			scopes |= Admin
		default:
			unknown = true
		}
	}
	return scopes, unknown
}
