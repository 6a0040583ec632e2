package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// Key is an access key as it is listed; its text is nowhere.
type Key struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Hint       string     `json:"hint" doc:"The first characters of the key, to recognise it by"`
	Scopes     []string   `json:"scopes" nullable:"false" doc:"ingest, read, admin"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at" doc:"null = never"`
	RevokedAt  *time.Time `json:"revoked_at" doc:"null = valid"`
}

// KeyRequest is the body of POST /keys.
type KeyRequest struct {
	Name   string   `json:"name" maxLength:"100" doc:"What the key is for; unique among valid keys"`
	Scopes []string `json:"scopes" nullable:"false" minItems:"1" enum:"ingest,read,admin" doc:"What the key may do; admin implies the others"`
}

// NewKey is the answer of POST /keys.
type NewKey struct {
	Key  string `json:"key" doc:"The key itself. It is shown this once: only its hash is kept"`
	Info Key    `json:"info"`
}

// KeysAnswer is the answer of GET /keys.
type KeysAnswer struct {
	Keys []Key `json:"keys" nullable:"false" doc:"Revoked ones too"`
}

type (
	keysOutput struct{ Body KeysAnswer }
	keyInput   struct {
		ID string `path:"id" maxLength:"100"`
	}
)

func (s *Server) registerKeys() {
	read(s, operation{route: route{method: http.MethodGet, path: base + "/keys", scope: access.Admin},
		id: "list-keys", tag: "keys", summary: "Access keys"}, s.listKeys)
	s.plain(operation{route: route{method: http.MethodPost, path: base + "/keys", scope: access.Admin},
		id: "create-key", tag: "keys", summary: "Make an access key",
		detail: "With the first key the service stops answering those without one.",
		faults: []int{http.StatusConflict, http.StatusServiceUnavailable}},
		KeyRequest{}, map[int]payload{201: NewKey{}}, s.createKey)
	read(s, operation{route: route{method: http.MethodDelete, path: base + "/keys/{id}", scope: access.Admin},
		id: "revoke-key", tag: "keys", summary: "Revoke an access key",
		faults: []int{http.StatusNotFound, http.StatusServiceUnavailable}}, s.revokeKey)
}

func (s *Server) listKeys(ctx context.Context, _ *struct{}) (*keysOutput, error) {
	keys, err := s.deps.Keys.List(ctx)
	if err != nil {
		return nil, err
	}
	return &keysOutput{Body: KeysAnswer{Keys: views(keys, keyView)}}, nil
}

func (s *Server) createKey(w http.ResponseWriter, r *http.Request) error {
	var in KeyRequest
	if err := s.bodies.decode(w, r, &in); err != nil {
		return err
	}
	text, key, err := s.deps.Keys.Create(r.Context(), in.Name, in.Scopes)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return writeJSON(w, http.StatusCreated, NewKey{Key: text, Info: keyView(&key)})
}

func (s *Server) revokeKey(ctx context.Context, in *keyInput) (*doneOutput, error) {
	if err := s.deps.Keys.Revoke(ctx, in.ID); err != nil {
		return nil, err
	}
	return &doneOutput{Body: Done{Success: true, Message: "Key revoked"}}, nil
}

func keyView(k *store.Key) Key {
	return Key{ID: k.ID, Name: k.Name, Hint: k.Hint, Scopes: append([]string{}, k.Scopes...),
		CreatedAt: k.CreatedAt.UTC(), LastUsedAt: moment(k.LastUsedAt), RevokedAt: moment(k.RevokedAt)}
}

// moment is nil for no time.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
