package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
	"github.com/tidemark-obs/tidemark/internal/store"
)

// KeyAdmin manages access keys from outside the service.
type KeyAdmin struct {
	keys
	close func() error
}

// keys are what the database or the running service does.
type keys interface {
	Create(ctx context.Context, name string, scopes []string) (string, store.Key, error)
	List(ctx context.Context) ([]store.Key, error)
	Revoke(ctx context.Context, idOrName string) error
}

// Close gives back what OpenKeys took.
func (k *KeyAdmin) Close() error { return k.close() }

// OpenKeys opens the keys in the database. While a service holds the embedded database, it asks
// that service through the socket in its data directory.
func OpenKeys(ctx context.Context, cfg Config, log io.Writer) (*KeyAdmin, error) {
	release, err := lockEmbedded(cfg)
	var busy *inUseError
	if errors.As(err, &busy) {
		return askService(cfg.Data.Dir), nil
	}
	if err != nil {
		return nil, err
	}
	logger := newLogger(log, cfg.Log.Format, slog.LevelWarn)
	k, s, err := openKeys(ctx, cfg, logger)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	return &KeyAdmin{k, func() error { return errors.Join(s.Close(), release()) }}, nil
}

func openKeys(ctx context.Context, cfg Config, logger *slog.Logger) (*access.Access, *store.Store, error) {
	s, err := openStore(ctx, cfg, true, logger, nil)
	if err != nil {
		return nil, nil, err
	}
	k, err := newAccess(cfg, s, logger)
	if err == nil {
		_, err = s.Migrate(ctx, false)
	}
	if err == nil {
		err = k.Load(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	return k, s, nil
}

func newAccess(cfg Config, s access.KeyStore, logger *slog.Logger) (*access.Access, error) {
	proxies, err := cfg.Web.proxies()
	if err != nil {
		return nil, err
	}
	l := cfg.RateLimits
	return access.New(access.Config{
		Store: s, Logger: logger.With("component", "access"), Now: time.Now,
		PerKey: access.Rate(l.PerKey), PerAddress: access.Rate(l.PerAddress), FailedAuth: access.Rate(l.FailedAuth),
		TrustedProxies: proxies, KeyRequired: !cfg.Web.onLoopback(),
	})
}

// remote asks a running service.
type remote struct{ *running }

func askService(dir string) *KeyAdmin {
	r := &remote{throughSocket(dir)}
	return &KeyAdmin{r, r.close}
}

// keyJSON is a key as the service shows it.
type keyJSON struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Hint       string    `json:"hint"`
	Scopes     []string  `json:"scopes"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	RevokedAt  time.Time `json:"revoked_at"`
	Key        string    `json:"key"`
}

func (k keyJSON) stored() store.Key {
	return store.Key{
		ID: k.ID, Name: k.Name, Hint: k.Hint, Scopes: k.Scopes,
		CreatedAt: k.CreatedAt, LastUsedAt: k.LastUsedAt, RevokedAt: k.RevokedAt,
	}
}

func (r *remote) Create(ctx context.Context, name string, scopes []string) (string, store.Key, error) {
	body, err := json.Marshal(map[string]any{"name": name, "scopes": scopes})
	if err != nil {
		return "", store.Key{}, err
	}
	var k keyJSON
	err = r.call(ctx, http.MethodPost, "", string(body), &k)
	return k.Key, k.stored(), err
}

func (r *remote) List(ctx context.Context) ([]store.Key, error) {
	var answer struct {
		Keys []keyJSON `json:"keys"`
	}
	err := r.call(ctx, http.MethodGet, "", "", &answer)
	all := make([]store.Key, len(answer.Keys))
	for i, k := range answer.Keys {
		all[i] = k.stored()
	}
	return all, err
}

func (r *remote) Revoke(ctx context.Context, idOrName string) error {
	return r.call(ctx, http.MethodDelete, "/"+url.PathEscape(idOrName), "", nil)
}

func (r *remote) call(ctx context.Context, method, path, body string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return r.running.call(ctx, method, "/api/analytics/keys"+path, []byte(body), "application/json", answer)
}
