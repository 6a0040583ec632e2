package app

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFaultsInNotificationsAreNamed(t *testing.T) {
	t.Setenv("TIDEMARK_TEST_EMPTY", "")
	receiver := func(lines string) string {
		return "notifications:\n  receivers:\n    - name: ops\n      " + strings.ReplaceAll(lines, "; ", "\n      ") + "\n"
	}
	for text, want := range map[string]string{
		"notifications:\n  group_wait: 0s\n":                                                                           "notifications.group_wait",
		"notifications:\n  repeat_interval: 1m\n":                                                                      "notifications.repeat_interval",
		"notifications:\n  group_by: ['...', a]\n":                                                                     "notifications.group_by[0]",
		"notifications:\n  group_bye: [a]\n":                                                                           ":2: notifications.group_bye: is not a setting",
		receiver("type: pigeon"):                                                                                       "receivers[0].type",
		receiver("type: webhook"):                                                                                      "receivers[0].url",
		receiver("type: webhook; url: ftp://hunter2@x"):                                                                "receivers[0].url",
		receiver("type: webhook; url: http://x; url_env: HOME"):                                                        "receivers[0].url",
		receiver("type: webhook; url_file: /nowhere/at/all"):                                                           "receivers[0].url",
		receiver("type: webhook; url_env: TIDEMARK_TEST_EMPTY"):                                                        "receivers[0].url",
		receiver("type: webhook; url: http://x; secret: whsec_hunter2!"):                                               "receivers[0].secret",
		receiver("type: webhook; url: http://x; channel: c"):                                                           "receivers[0].channel",
		receiver("type: slack; url: http://x; secret: hunter2"):                                                        "receivers[0].secret",
		receiver("type: webhook; url: http://x; matchers: ['a=b', 'severity']"):                                        "receivers[0].matchers[1]",
		receiver("type: webhook; url: http://x; timeout: -1s"):                                                         "receivers[0].timeout",
		receiver("type: webhook; url: http://x; secret: hunter2; odd: 1"):                                              ":7: notifications.receivers[0].odd: is not a setting",
		receiver("type: email; smarthost: x; from: a@b.c; to: [a@b.c]"):                                                "receivers[0].smarthost",
		receiver("type: email; smarthost: x:25; from: a; to: [a@b.c]"):                                                 "receivers[0].from",
		receiver("type: email; smarthost: x:25; from: a@b.c; to: [a@b.c, d]"):                                          "receivers[0].to[1]",
		receiver("type: email; smarthost: x:25; from: a@b.c; to: [a@b.c]; auth_user: u"):                               "receivers[0].password",
		receiver("type: email; smarthost: x:25; from: a@b.c; to: [a@b.c]; tls: ssl"):                                   "receivers[0].tls",
		receiver("type: webhook; url: http://x\n    - name: ops\n      type: slack; url: http://x"):                    "receivers[1].name",
		receiver("type: email; smarthost: x:25; from: a@b.c; to: [a@b.c]; tls: none; auth_user: u; password: hunter2"): "receivers[0].tls",
	} {
		c := testConfig(t.TempDir())
		err := c.ReadFile(write(t, text))
		if err == nil {
			err = c.Check()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one that names %s", text, err, want)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error shows the secret: %v", text, err)
		}
	}
}

func TestSecretsComeFromFilesAndTheEnvironment(t *testing.T) {
	t.Setenv("TIDEMARK_TEST_URL", "https://hooks.example/T/hunter2")
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("hunter3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := testConfig(t.TempDir())
	c.Notifications.Receivers = []Receiver{{Name: "ops", Type: "webhook", URLEnv: "TIDEMARK_TEST_URL", SecretFile: file, BearerToken: "hunter4"}}
	got, err := c.Notifications.config("")
	if err != nil {
		t.Fatal(err)
	}
	r := got.Receivers[0]
	if r.URL != "https://hooks.example/T/hunter2" || r.Secret != "hunter3" || r.BearerToken != "hunter4" {
		t.Error("a secret was not read")
	}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", got, got, got), fmt.Sprintf("%+v %#v", c, c)} {
		if strings.Contains(text, "hunter") {
			t.Errorf("printed: %s", text)
		}
	}
}

// TestNotificationsAreReloaded breaks the receivers and mends them while the service runs.
func TestNotificationsAreReloaded(t *testing.T) {
	next := testConfig(t.TempDir())
	var log bytes.Buffer
	a := start(t, next, Options{Log: &log, Config: func() (Config, error) { return next, nil }})
	results := func() string {
		_, answer := call(t, a, "POST", "/api/analytics/alerts/test", "")
		return fmt.Sprint(answer["results"])
	}
	if got := results(); got != "[]" {
		t.Errorf("without receivers: %s", got)
	}
	next.Notifications.Receivers = []Receiver{{Name: "pager", Type: "webhook", URL: "http://127.0.0.1:1/hunter2"}}
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := results(); !strings.Contains(got, "receiver:pager") || !strings.Contains(got, "allow_private_addresses") || strings.Contains(got, "hunter2") {
		t.Errorf("after the reload: %s", got)
	}
	next.Notifications.Receivers = []Receiver{{Name: "broken", Type: "webhook"}}
	if err := a.Reload(t.Context()); err == nil {
		t.Error("a receiver without a URL was taken")
	}
	if got := results(); !strings.Contains(got, "receiver:pager") {
		t.Errorf("after the broken reload: %s", got)
	}
}
