package dashboards

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// load is the service's users: it uses every door and every kind of answer until it is stopped.
func (s *stage) load(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{}}
	var users sync.WaitGroup
	for user := range 4 {
		users.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for n := 0; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					for _, c := range visits(user, n) {
						// A visit may be cut off by the end of the load; what came of the others the
						// dashboards show.
						_, _ = s.visit(ctx, client, c)
					}
				}
			}
		})
	}
	t.Cleanup(func() {
		stop()
		users.Wait()
		client.CloseIdleConnections()
	})
}

// call is one request to the service.
type call struct{ method, path, body string }

// visits are the calls of one user's n-th visit.
func visits(user, n int) []call {
	const api = "/api/analytics"
	id := fmt.Sprintf("u%d-%d", user, n)
	all := []call{
		{"POST", api + "/track", fmt.Sprintf(`{"event": "signup", "event_id": %q, "user_id": "u%d"}`, id, user)},
		{"POST", api + "/track", fmt.Sprintf(`{"event": "signup", "event_id": %q, "user_id": "u%d"}`, id, user)}, // a duplicate
		{"POST", api + "/user/page-view", `{"path": "/pricing", "user_id": "u1"}`},
		{"POST", api + "/track", `{"event": ""}`}, // invalid
		{"GET", api + "/events/recent", ""},
		{"GET", "/nowhere", ""},
	}
	switch {
	case user == 0 && n%50 == 10:
		all = append(all, call{"POST", api + "/config", `{"enabled": false}`}) // 503 for a while
	case user == 0 && n%50 == 15:
		all = append(all, call{"POST", api + "/config", `{"enabled": true}`})
	}
	return all
}

// visit makes a call and returns the answer's status.
func (s *stage) visit(ctx context.Context, client *http.Client, c call) (int, error) {
	req, err := http.NewRequestWithContext(ctx, c.method, "http://"+s.service.addr+c.path, bytes.NewReader([]byte(c.body)))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+s.admin)
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}
