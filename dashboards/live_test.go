package dashboards

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-obs/tidemark/internal/proctest"
)

// TestLive runs the service under load, scraped by a real Prometheus that tells a real
// Alertmanager, and asks what Grafana would ask: of Prometheus, and of the service's own store.
func TestLive(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole deployment does not run with -short")
	}
	s := newStage(t)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	// Whatever the machine has, it is over this threshold: an alert is pending, then fires.
	status, err := s.visit(context.Background(), client, call{"POST", "/api/analytics/config", `{"thresholds": {"high_memory_percent": 0.1}}`})
	if err != nil || status != http.StatusOK {
		t.Fatalf("setting a threshold: %d, %v", status, err)
	}
	s.deliver(t, client)
	s.load(t)

	prometheus := asker{"http://" + s.prometheus.addr, "", client}
	open := slices.Concat(questions(t, "Prometheus", prometheus),
		questions(t, "built-in store", asker{"http://" + s.service.addr, s.admin, client}))
	t.Logf("%d questions", len(open))
	proctest.Eventually(t, 4*time.Minute, "every question has an answer", func() error {
		var errs []error
		open = slices.DeleteFunc(open, func(q question) bool {
			err := q.ask()
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w: %s", q.where, err, q.expr))
			}
			return err == nil
		})
		return errors.Join(errs...)
	})
	t.Run("only our job", func(t *testing.T) {
		if jobs, err := prometheus.choices("tidemark_build_info", "job"); err != nil || !slices.Equal(jobs, []string{"tidemark"}) {
			t.Errorf("the jobs offered are %q, %v", jobs, err)
		}
	})
	t.Run("alert arrives", func(t *testing.T) { s.alertArrives(t, client) })
	t.Run("Prometheus sends it", func(t *testing.T) { // the service does as well
		answered(t, prometheus, `prometheus_notifications_sent_total{job="prometheus"} > 0`)
	})
	t.Run("destination gets events", func(t *testing.T) {
		answered(t, prometheus, `sum(rate(tidemark_destination_delivered_total{destination="hook"}[10s])) > 0`)
	})
	t.Run("traces arrive", func(t *testing.T) {
		s.traces.Wait(t, "a span of the service", func() bool { return len(s.traces.Spans()) > 0 })
	})
	t.Run("collector writes", func(t *testing.T) {
		answered(t, prometheus, `count(up{job=~"alertmanager|prometheus"} == 1) == 2`)
	})
	t.Run("health check", func(t *testing.T) { s.healthCheck(t) })
	t.Run("no warning", func(t *testing.T) {
		for _, line := range proctest.Complaints(s.prometheus.Said()) {
			t.Error(line)
		}
	})
}

// answered waits until a query has a result.
func answered(t *testing.T, p asker, expr string) {
	t.Helper()
	proctest.Eventually(t, 3*time.Minute, expr, func() error {
		n, err := p.data(expr, true)
		if err == nil && n == 0 {
			err = errors.New("nothing")
		}
		return err
	})
}

// question is something that a dashboard asks Prometheus; ask is nil once there is an answer.
type question struct {
	where, expr string
	ask         func() error
}

// questions are all that the dashboards ask, with every value of the variables of choice.
func questions(t *testing.T, of string, p asker) []question {
	t.Helper()
	var all []question
	add := func(where, expr string, ask func() (int, error)) {
		all = append(all, question{of + ": " + where, expr, func() error {
			n, err := ask()
			if err == nil && n == 0 {
				err = errors.New("no data")
			}
			return err
		}})
	}
	for _, b := range boards(t) {
		for _, v := range b.Templating.List {
			if m := labelCall.FindStringSubmatch(v.question()); m != nil {
				expr := fill(m[2], anything("sum"))
				add(fmt.Sprint(b.UID, "/variable ", v.Name), expr, func() (int, error) {
					values, err := p.choices(expr, m[3])
					return len(values), err
				})
			}
		}
		for _, a := range b.Annotations.List {
			expr := fill(a.Expr, anything("sum"))
			add(b.UID+"/annotation", expr, func() (int, error) { return p.data(expr, false) })
		}
		for _, panel := range b.drawn() {
			for _, target := range panel.Targets {
				for _, ledger := range ledgers(target.Expr) {
					expr := fill(target.Expr, anything(ledger))
					add(fmt.Sprint(b.UID, "/", panel.Title, "/", target.RefID, ledger), expr, func() (int, error) { return p.data(expr, target.Instant) })
				}
				if target.Exemplar {
					expr := fill(target.Expr, anything("sum"))
					add(fmt.Sprint(b.UID, "/", panel.Title, "/", target.RefID, " exemplars"), expr, func() (int, error) { return p.exemplars(expr) })
				}
			}
		}
	}
	return all
}

// ledgers are the ways in which a query can add up.
func ledgers(expr string) []string {
	if strings.Contains(expr, "${ledger}") {
		return []string{"sum", "max"}
	}
	return []string{""}
}

// anything are the variables' values when All is chosen, at a scrape a second. TestLive checks that
// this is the one job offered.
func anything(ledger string) map[string]string {
	return map[string]string{
		"job": "tidemark", "instance": ".+", "route": ".*", "ledger": ledger,
		"__rate_interval": "10s", "__range": "1m",
	}
}

// deliver has the service carry its events on to a receiver that takes all of them.
func (s *stage) deliver(t *testing.T, client *http.Client) {
	t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	t.Cleanup(receiver.Close)
	status, err := s.visit(context.Background(), client, call{"POST", "/api/analytics/destinations",
		`{"name": "hook", "kind": "webhook", "url": "` + receiver.URL + `", "allow_private_addresses": true}`})
	if err != nil || status != http.StatusCreated {
		t.Fatalf("making a destination: %d, %v", status, err)
	}
}

// alertArrives waits until Alertmanager has the alert of the threshold.
func (s *stage) alertArrives(t *testing.T, client *http.Client) {
	t.Helper()
	proctest.Eventually(t, 3*time.Minute, "the alert is in Alertmanager", func() error {
		alerts, err := fetch(client, "http://"+s.alertmanager.addr+"/api/v2/alerts")
		if err == nil && !strings.Contains(alerts, "TidemarkHighMemory") {
			err = fmt.Errorf("Alertmanager has %s", alerts)
		}
		return err
	})
}

var checkCommand = regexp.MustCompile(`(?m)^\s+CMD (\[.*\])$`)

// healthCheck runs the image's health check against the service, and against nothing.
func (s *stage) healthCheck(t *testing.T) {
	t.Helper()
	m := checkCommand.FindStringSubmatch(read(t, "../deploy/Dockerfile"))
	var command []string
	if m == nil || json.Unmarshal([]byte(m[1]), &command) != nil || len(command) != 3 {
		t.Fatalf("no health check in the Dockerfile: %q", m)
	}
	host, port, _ := net.SplitHostPort(s.service.addr)
	script := rewrite(t, command[2], "127.0.0.1/8080", host+"/"+port)
	if out, err := exec.Command(command[0], command[1], script).CombinedOutput(); err != nil {
		t.Errorf("the health check of a healthy service: %v: %s", err, out)
	}
	if exec.Command(command[0], command[1], rewrite(t, script, "/-/ready", "/-/nothing")).Run() == nil {
		t.Error("the health check takes 404 for health")
	}
}

func fetch(client *http.Client, url string) (string, error) {
	res, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}
