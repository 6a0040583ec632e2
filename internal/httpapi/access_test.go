package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/access"
)

// scopes says what every operation needs; "" is open.
var scopes = map[string]string{
	"POST /api/analytics/track":                                 "ingest",
	"POST /api/analytics/batch-track":                           "ingest",
	"POST /api/analytics/user/page-view":                        "ingest",
	"POST /api/analytics/user/interaction":                      "ingest",
	"POST /api/analytics/flush":                                 "ingest",
	"POST /api/analytics/events":                                "ingest",
	"POST /api/analytics/events/batch":                          "ingest",
	"GET /api/analytics/stats":                                  "read",
	"GET /api/analytics/performance":                            "read",
	"GET /api/analytics/performance/operation/{operation_name}": "read",
	"GET /api/analytics/health":                                 "read",
	"GET /api/analytics/ledger":                                 "read",
	"GET /api/analytics/receipts/{event_id}":                    "read",
	"GET /api/analytics/events":                                 "read",
	"GET /api/analytics/events/recent":                          "read",
	"GET /api/analytics/events/stats":                           "read",
	"GET /api/analytics/events/timeseries":                      "read",
	"GET /api/analytics/events/breakdown":                       "read",
	"GET /api/analytics/query":                                  "admin",
	"POST /api/analytics/events/funnel":                         "read",
	"POST /api/analytics/events/retention":                      "read",
	"POST /api/analytics/events/paths":                          "read",
	"GET /api/analytics/events/sessions":                        "read",
	"GET /api/analytics/events/{event_id}":                      "read",
	"PATCH /api/analytics/events/{event_id}":                    "admin",
	"DELETE /api/analytics/events/{event_id}":                   "admin",
	"POST /api/analytics/events/processed":                      "admin",
	"GET /api/analytics/events/export":                          "admin",
	"POST /api/analytics/events/import":                         "admin",
	"DELETE /api/analytics/users/{user_id}":                     "admin",
	"GET /api/analytics/erasures/{erasure_id}":                  "admin",
	"POST /api/analytics/maintenance":                           "admin",
	"POST /api/analytics/config":                                "admin",
	"DELETE /api/analytics/performance/clear":                   "admin",
	"GET /api/analytics/keys":                                   "admin",
	"POST /api/analytics/keys":                                  "admin",
	"DELETE /api/analytics/keys/{id}":                           "admin",
	"GET /api/analytics/alerts":                                 "read",
	"POST /api/analytics/alerts/test":                           "admin",
	"GET /api/analytics/alerts/silences":                        "read",
	"POST /api/analytics/alerts/silences":                       "admin",
	"DELETE /api/analytics/alerts/silences/{id}":                "admin",
	"GET /api/analytics/destinations":                           "admin",
	"POST /api/analytics/destinations":                          "admin",
	"GET /api/analytics/destinations/{name}":                    "admin",
	"DELETE /api/analytics/destinations/{name}":                 "admin",
	"POST /api/analytics/destinations/{name}/pause":             "admin",
	"POST /api/analytics/destinations/{name}/resume":            "admin",
	"POST /api/analytics/destinations/{name}/test":              "admin",
	"POST /api/analytics/destinations/{name}/replay":            "admin",
	"GET /api/analytics/destinations/{name}/dead-letters":       "admin",
	"DELETE /api/analytics/destinations/{name}/dead-letters":    "admin",
	"POST /-/reload":                                            "admin",
	"GET /-/healthy":                                            "",
	"GET /-/ready":                                              "",
}

func TestEveryOperationNeedsItsScope(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	keys := map[string]string{}
	for _, scope := range access.ScopeNames() {
		key, _, err := w.access.Create(ctx, scope, []string{scope})
		must(t, err)
		keys[scope] = key
	}
	documented := 0
	for path, item := range w.api.api.OpenAPI().Paths {
		for method, op := range map[string]bool{"GET": item.Get != nil, "POST": item.Post != nil, "PATCH": item.Patch != nil, "DELETE": item.Delete != nil} {
			if op {
				documented++
				if _, ok := scopes[method+" "+path]; !ok {
					t.Errorf("%s %s is documented and not tested here", method, path)
				}
			}
		}
	}
	if documented != len(scopes) {
		t.Errorf("%d operations documented, %d known here", documented, len(scopes))
	}
	all := map[string]string{"GET /metrics": "read", "GET /api/openapi.json": "", "GET /": ""}
	for name, need := range scopes {
		all[name] = need
	}
	for name, need := range all {
		method, path, _ := strings.Cut(name, " ")
		path = strings.NewReplacer("{event_id}", "none", "{id}", "none", "{user_id}", "none", "{erasure_id}", "none", "{operation_name}", "none").Replace(path)
		a := w.do(t, method, path, "")
		if need == "" {
			if a.status == 401 || a.status == 403 {
				t.Errorf("%s is not open: %d", name, a.status)
			}
			continue
		}
		a.problem(401)
		if got := a.header.Get("WWW-Authenticate"); got != `Bearer realm="tidemark"` {
			t.Errorf("%s: WWW-Authenticate %q", name, got)
		}
		for scope, key := range keys {
			a := w.do(t, method, path, "", "Authorization", "Bearer "+key)
			if fits := scope == need || scope == "admin"; fits == (a.status == 403 || a.status == 401) {
				t.Errorf("%s with scope %s: %d", name, scope, a.status)
			} else if !fits {
				a.problem(403)
			}
		}
	}
	if w.ledger.Accepted != 0 || w.ledger.Received != w.ledger.Rejected {
		t.Errorf("counted %+v", w.ledger)
	}
}

func TestKeys(t *testing.T) {
	w := newWorld(t)
	made := w.post(t, "/api/analytics/keys", `{"name":"root","scopes":["admin"]}`).want(201)
	root := made.json()["key"].(string)
	if made.header.Get("Cache-Control") != "no-store" {
		t.Error("a key may be cached")
	}
	w.get(t, "/api/analytics/keys").problem(401)
	w.post(t, "/api/analytics/keys", `{"name":"root","scopes":["read"]}`, "X-API-Key", root).problem(409)
	w.post(t, "/api/analytics/keys", `{"name":"x","scopes":[]}`, "X-API-Key", root).problem(422)
	w.post(t, "/api/analytics/keys", `{"name":"x","scopes":["root"]}`, "X-API-Key", root).problem(422)
	reader := w.post(t, "/api/analytics/keys", `{"name":"reader","scopes":["read"]}`, "X-API-Key", root).want(201).json()
	id := reader["info"].(map[string]any)["id"].(string)

	list := w.get(t, "/api/analytics/keys", "X-API-Key", root).want(200)
	if strings.Contains(list.body, root) || strings.Contains(list.body, "hash") {
		t.Errorf("the list tells %s", list.body)
	}
	if n := len(list.json()["keys"].([]any)); n != 2 {
		t.Errorf("%d keys", n)
	}
	w.get(t, "/api/analytics/stats", "Authorization", "Bearer "+reader["key"].(string)).want(200)
	w.do(t, http.MethodDelete, "/api/analytics/keys/"+id, "", "X-API-Key", root).want(200)
	w.get(t, "/api/analytics/stats", "Authorization", "Bearer "+reader["key"].(string)).problem(401)
	w.do(t, http.MethodDelete, "/api/analytics/keys/none", "", "X-API-Key", root).problem(404)
}

// TestRateLimits charges a batch for its events.
func TestRateLimits(t *testing.T) {
	w := newWorld(t, func(d *Deps) {
		a, err := access.New(access.Config{Store: &keeper{}, Logger: d.Logger, Now: time.Now,
			PerAddress: access.Rate{PerSecond: 0.001, Burst: 10}})
		must(t, err)
		must(t, a.Load(context.Background()))
		d.Access = a
	})
	batch := "[" + strings.TrimSuffix(strings.Repeat(`{"event":"x"},`, 9), ",") + "]"
	w.post(t, "/api/analytics/batch-track", batch).want(200)
	w.post(t, "/api/analytics/track", `{"event":"x"}`).want(200)
	a := w.post(t, "/api/analytics/track", `{"event":"x"}`)
	a.problem(429)
	var seconds int
	if _, err := fmt.Sscanf(a.header.Get("Retry-After"), "%d", &seconds); err != nil || seconds < 1 {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
	w.get(t, "/-/ready").want(200)
	if l := w.ledger; l.Received != 10 {
		t.Errorf("counted %+v", l)
	}
}
