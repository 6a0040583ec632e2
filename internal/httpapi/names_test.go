package httpapi

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestRoutesThatAreNamedAreThere reads what other programs load and people read: every route in it, and every
// choice of routes in a query, is one of the service.
func TestRoutesThatAreNamedAreThere(t *testing.T) {
	var routes []string
	w := newWorld(t, func(d *Deps) { d.Prometheus = http.NotFoundHandler() })
	for _, name := range w.api.Routes() {
		_, path, _ := strings.Cut(name, " ")
		routes = append(routes, path)
	}
	named := regexp.MustCompile(`/api/(?:analytics|v1)/[A-Za-z0-9_/{}-]*[A-Za-z0-9_}]`)
	chosen := regexp.MustCompile(`http_route(?:=|!=|=~|!~)\\?"([^"$\\]+)`)
	n := 0
	for file, text := range filesThatNameRoutes(t) {
		for _, path := range named.FindAllString(text, -1) {
			n++
			if path != prometheusWrites && !slices.ContainsFunc(routes, func(route string) bool { return leadsTo(path, route) }) {
				t.Errorf("%s names %s", file, path)
			}
		}
		for _, m := range chosen.FindAllStringSubmatch(text, -1) {
			for choice := range strings.SplitSeq(m[1], "|") {
				n++
				if !slices.ContainsFunc(routes, regexp.MustCompile("^(?:"+choice+")$").MatchString) {
					t.Errorf("%s chooses %s", file, choice)
				}
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d routes are named", n)
	}
}

// prometheusWrites is where Prometheus takes in samples.
const prometheusWrites = "/api/v1/write"

// leadsTo reports whether a path as people write it is a route, or begins one. An example of an id has a digit or
// a capital, which no route has; destinations have names.
func leadsTo(path, route string) bool {
	parts, want := strings.Split(path, "/"), strings.Split(route, "/")
	if len(parts) > len(want) {
		return false
	}
	for i, part := range parts {
		example := strings.HasPrefix(want[i], "{") && (want[i] == "{name}" || strings.ContainsFunc(part, notOfRoutes))
		if part != want[i] && !example {
			return false
		}
	}
	return true
}

func notOfRoutes(r rune) bool { return r < 'a' && r != '-' && r != '_' }

func filesThatNameRoutes(t *testing.T) map[string]string {
	texts := map[string]string{}
	root := filepath.Join("..", "..")
	for _, top := range []string{"README.md", "otel-collector.yaml", "alerts", "dashboards", "deploy", "docs"} {
		must(t, filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, ".test.yaml") || !slices.Contains([]string{".md", ".yaml", ".yml", ".json", ".sh", ""}, filepath.Ext(path)) {
				return err
			}
			text, err := os.ReadFile(path)
			texts[path] = string(text)
			return err
		}))
	}
	return texts
}
