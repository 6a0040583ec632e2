package app

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tidemark.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheDocumentedFileIsTheDefault(t *testing.T) {
	c := Config{Privacy: Default().Privacy}
	if err := c.ReadFile("../../docs/tidemark.yaml"); err != nil {
		t.Fatal(err)
	}
	c.Web.TrustedProxies, c.file = nil, nil
	if !reflect.DeepEqual(c, Default()) {
		t.Errorf("docs/tidemark.yaml says\n%+v\nthe defaults are\n%+v", c, Default())
	}
}

func TestFaultsInTheFileAreNamed(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown key", "web:\n  listen_address: 127.0.0.1:1\n  prot: 3\n", "[3:3]"},
		{"wrong type", "web:\n  shutdown_timeout: soon\n", "[2:21]"},
		{"not YAML", "web: [\n", "["},
		{"bad address", "web:\n  listen_address: nowhere\n", ":2: web.listen_address"},
		{"bad database", "database:\n  url: mysql://x\n", ":2: database.url"},
		{"bad threshold", "tracking:\n  thresholds:\n    high_cpu_percent: 400\n", ":1: tracking"},
		{"zero limit", "limits:\n  depth: 0\n", ":2: limits.depth"},
		{"bad scrape job", "alerts:\n  scrape:\n    - job: a\n      targets: [h:1]\n    - job: tidemark\n      targets: [h:1]\n", ":5: alerts.scrape[1]"},
		{"bad receiver", "notifications:\n  receivers:\n    - name: a\n      type: pigeon\n", ":4: notifications.receivers[0].type"},
		{"bad proxy", "web:\n  trusted_proxies: [ten]\n", ":2: web.trusted_proxies"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Default()
			err := c.ReadFile(write(t, tt.text))
			if err == nil {
				err = c.Check()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one that names %s", err, tt.want)
			}
		})
	}
}

func TestURLFile(t *testing.T) {
	c := Default()
	c.Database.URLFile = write(t, "postgres://u@h/db\n")
	if err := c.Check(); err != nil || c.Database.URL != "postgres://u@h/db" {
		t.Errorf("url %q, error %v", c.Database.URL, err)
	}
}

func TestFaultsOfFlagsNameNoLine(t *testing.T) {
	c := Default()
	if err := c.ReadFile(write(t, "web:\n  listen_address: 127.0.0.1:1\nlog:\n  level: loud\n")); err != nil {
		t.Fatal(err)
	}
	c.Web.ListenAddress = "nowhere"
	err := c.Check()
	if err == nil || !strings.Contains(err.Error(), ":4: log.level") || strings.Contains(err.Error(), ":2: web.listen_address") {
		t.Errorf("error %v, want the line of what the file says only", err)
	}
}
