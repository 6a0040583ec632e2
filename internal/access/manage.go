package access

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/tidemark-obs/tidemark/internal/errs"
	"github.com/tidemark-obs/tidemark/internal/store"
)

const maxKeyName = 100 // characters

// Create makes a key and returns its text, which cannot be had again, and what is kept of it.
// Kinds: Invalid for the name or scopes, Conflict when a valid key has the name, Unavailable.
func (a *Access) Create(ctx context.Context, name string, scopes []string) (string, store.Key, error) {
	if err := checkName(name); err != nil {
		return "", store.Key{}, err
	}
	scope, err := ParseScopes(scopes)
	if err != nil {
		return "", store.Key{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", store.Key{}, errs.Wrap(errs.Internal, "make a key's id", err)
	}
	if err := a.lock(ctx); err != nil {
		return "", store.Key{}, err
	}
	defer a.unlock()
	keys, err := a.load(ctx)
	if err != nil {
		return "", store.Key{}, err
	}
	taken := func(k store.Key) bool { return k.Name == name && k.RevokedAt.IsZero() }
	if slices.ContainsFunc(keys, taken) {
		return "", store.Key{}, errs.New(errs.Conflict, "a valid key has this name already")
	}
	text := newKey()
	h, _ := hashKey(text)
	key := store.Key{
		ID: id.String(), Name: name, Hash: h[:], Hint: text[:hintLength], Scopes: scope.Names(),
		CreatedAt: a.config.Now().UTC().Truncate(time.Microsecond), // the databases' precision
	}
	if err := a.config.Store.InsertKey(ctx, key); err != nil {
		return "", store.Key{}, errs.Wrap(errs.Unavailable, "the key cannot be kept now", err)
	}
	a.keys.Store(newSnapshot(append(keys, key), a.keys.Load(), a.config.PerKey))
	return text, key, nil
}

// List returns all keys, revoked ones too, with the last use this process knows of.
func (a *Access) List(ctx context.Context) ([]store.Key, error) {
	if err := a.lock(ctx); err != nil {
		return nil, err
	}
	defer a.unlock()
	keys, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	snapshot := a.keys.Load()
	for i := range keys {
		if len(keys[i].Hash) != len(hash{}) {
			continue
		}
		if st := snapshot.stateOf(hash(keys[i].Hash)); st != nil {
			if used := time.Unix(st.used.Load(), 0).UTC(); st.used.Load() > 0 && used.After(keys[i].LastUsedAt) {
				keys[i].LastUsedAt = used
			}
		}
	}
	return keys, nil
}

// Revoke ends a key, given by its id or by the name of a valid one. Revoking it again is no
// error. Kinds: NotFound, Conflict when several valid keys have the name, Unavailable.
func (a *Access) Revoke(ctx context.Context, idOrName string) error {
	if err := a.lock(ctx); err != nil {
		return err
	}
	defer a.unlock()
	keys, err := a.load(ctx)
	if err != nil {
		return err
	}
	i, err := find(keys, idOrName)
	if err != nil {
		return err
	}
	if !keys[i].RevokedAt.IsZero() {
		return nil
	}
	at := a.config.Now().UTC().Truncate(time.Microsecond)
	if err := a.config.Store.RevokeKey(ctx, keys[i].ID, at); err != nil && !errs.Is(err, errs.NotFound) {
		return errs.Wrap(errs.Unavailable, "the key cannot be revoked now", err)
	}
	keys[i].RevokedAt = at
	a.keys.Store(newSnapshot(keys, a.keys.Load(), a.config.PerKey))
	return nil
}

// find returns the place of the key with an id, or else of the valid key with a name.
func find(keys []store.Key, idOrName string) (int, error) {
	if i := slices.IndexFunc(keys, func(k store.Key) bool { return k.ID == idOrName }); i >= 0 {
		return i, nil
	}
	found := -1
	for i, k := range keys {
		if k.Name != idOrName || !k.RevokedAt.IsZero() {
			continue
		}
		if found >= 0 {
			return 0, errs.New(errs.Conflict, "several keys have this name: give the id")
		}
		found = i
	}
	if found < 0 {
		return 0, errs.New(errs.NotFound, "there is no such key")
	}
	return found, nil
}

func checkName(name string) error {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	switch _, err := uuid.Parse(name); {
	case name == "" || strings.TrimSpace(name) != name:
		return errs.New(errs.Invalid, "a key needs a name that does not begin or end with a space")
	case !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxKeyName || strings.ContainsFunc(name, unprintable):
		return errs.New(errs.Invalid, "a key's name has up to 100 printable characters")
	case err == nil:
		return errs.New(errs.Invalid, "a key's name cannot look like an id")
	}
	return nil
}
