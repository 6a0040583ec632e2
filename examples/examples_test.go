// Package examples runs each example against the real service.
package examples

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// tidemark starts the real service and returns its address.
func tidemark(t *testing.T) string {
	t.Helper()
	path := os.Getenv("TIDEMARK_TEST_PROGRAM")
	if path == "" {
		path = build(t, "..", "./cmd/tidemark")
	}
	logs := filepath.Join(t.TempDir(), "log")
	log, err := os.Create(logs)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(path, "serve", "--web.listen-address=127.0.0.1:0", "--data.dir="+t.TempDir(), "--log.format=json")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address := ""
	await(t, "the service is ready", func() bool {
		text, _ := os.ReadFile(logs)
		for line := range strings.Lines(string(text)) {
			var l struct{ Msg, Address string }
			if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "tidemark is ready" {
				address = "http://" + l.Address
			}
		}
		return address != ""
	})
	return address
}

func build(t *testing.T, dir, what string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("go", "build", "-o", path, what)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v: %s", what, err, out)
	}
	return path
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(3 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not in time: %s", what)
		}
	}
}

// run starts an example, uses it and ends it as Ctrl-C does.
func run(t *testing.T, program, service string, use func(address string)) {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "LISTEN=127.0.0.1:0", "TIDEMARK_URL="+service)
	var said bytes.Buffer // also of what panics
	cmd.Stderr = &said
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the example said %s", said.String())
		}
	})
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill() // fails when it has ended, as it should
		_ = cmd.Wait()
	}()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the example does not say where it listens: %v", err)
	}
	use(strings.TrimSpace(address))
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
}

func ask(t *testing.T, method, address, body string) string {
	t.Helper()
	res, err := http.DefaultClient.Do(request(t, method, address, body))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.Header.Get("X-Request-ID") == "" {
		t.Errorf("%s %s bears no X-Request-ID", method, address)
	}
	return string(text)
}

// panics asks for what panics, once: on a connection of its own the transport tries no second time.
func panics(t *testing.T, address string) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := (&http.Client{Transport: transport}).Do(request(t, "GET", address, ""))
	if err == nil {
		t.Errorf("%s answers %s", address, res.Status)
		_ = res.Body.Close()
	}
}

func request(t *testing.T, method, address, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-User", "u1")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// seen lists what the service stored of an application's user, one line an event.
func seen(t *testing.T, service, source string, want int) (events []string) {
	t.Helper()
	await(t, fmt.Sprint(want, " events of ", source), func() bool {
		where := url.QueryEscape(`[{"field":"source","op":"=","value":"` + source + `"}]`)
		res, err := http.Get(service + "/api/analytics/events?limit=100&where=" + where)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var page struct {
			Events []struct {
				Name     string `json:"event_name"`
				Type     string `json:"event_type"`
				User     string `json:"user_id"`
				Source   string
				Severity string
			}
		}
		text, _ := io.ReadAll(res.Body)
		if err := json.Unmarshal(text, &page); err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%v: %s", err, text)
		}
		events = nil
		for _, e := range page.Events {
			if e.Source == source {
				events = append(events, strings.Join([]string{e.Type, e.Severity, e.User, e.Name}, " "))
			}
		}
		return len(events) >= want
	})
	slices.Sort(events)
	return events
}

// TestTheShopIsInstrumentedInAFewLines counts the lines that the shop has for Tidemark's sake.
func TestTheShopIsInstrumentedInAFewLines(t *testing.T) {
	text, err := os.ReadFile("shop/main.go")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\bclient\.|\bc\.|tidemark/client"`)
	n := 0
	for line := range strings.Lines(string(text)) {
		if names.MatchString(line) {
			n++
		}
	}
	if n == 0 || n >= 10 {
		t.Errorf("%d lines", n)
	}
}

func TestExamples(t *testing.T) {
	if testing.Short() {
		t.Skip("the examples do not run with -short")
	}
	service := tidemark(t)
	router := func(id string) []string {
		return []string{
			"api_error high u1 GET /broken", "api_error high u1 POST /checkout",
			"api_request low u1 GET /prices", "api_request low u1 GET /products/" + id, "api_request low u1 GET unmatched",
			"custom high u1 error", "custom low u1 product_viewed", "operation_timing low u1 load product",
		}
	}
	for name, want := range map[string][]string{
		"shop": {
			"api_error high u1 POST /checkout", "api_request low u1 GET /products/{id}", "api_request low u1 POST /checkout",
			"custom high u1 error", "custom low u1 checkout_completed",
			"operation_timing low u1 charge card", "operation_timing low u1 charge card", "operation_timing low u1 load product",
		},
		"chi": router("{id}"), "gin": router(":id"), "echo": router(":id"),
	} {
		t.Run(name, func(t *testing.T) {
			run(t, build(t, ".", "./"+name), service, func(address string) {
				ask(t, "GET", address+"/products/17", "")
				ask(t, "POST", address+"/checkout", "")
				if name == "shop" {
					ask(t, "POST", address+"/checkout", "amount=129.95")
					return
				}
				if text := ask(t, "GET", address+"/prices", ""); text != "price 0\nprice 1\nprice 2\n" {
					t.Errorf("the stream is %q", text)
				}
				ask(t, "GET", address+"/nowhere/17", "")
				panics(t, address+"/broken")
			})
			if got := seen(t, service, name, len(want)); !slices.Equal(got, want) {
				t.Errorf("%q\nwant %q", got, want)
			}
		})
	}
}
