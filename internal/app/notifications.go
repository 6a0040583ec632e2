package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tidemark-obs/tidemark/internal/notify"
)

// Notifications is who is told about alerts, and how often.
type Notifications struct {
	GroupBy        []string   `yaml:"group_by"`
	GroupWait      Duration   `yaml:"group_wait"`
	GroupInterval  Duration   `yaml:"group_interval"`
	RepeatInterval Duration   `yaml:"repeat_interval"`
	SendResolved   bool       `yaml:"send_resolved"`
	Receivers      []Receiver `yaml:"receivers"`
}

// Receiver is one who is told. Each secret stands in the file, in a file of its own, or in an
// environment variable.
type Receiver struct {
	Name         string   `yaml:"name"`
	Type         string   `yaml:"type"`
	Matchers     []string `yaml:"matchers"`
	SendResolved *bool    `yaml:"send_resolved"`
	Timeout      Duration `yaml:"timeout"`

	URL                   notify.Secret `yaml:"url"`
	URLFile               string        `yaml:"url_file"`
	URLEnv                string        `yaml:"url_env"`
	BearerToken           notify.Secret `yaml:"bearer_token"`
	BearerTokenFile       string        `yaml:"bearer_token_file"`
	BearerTokenEnv        string        `yaml:"bearer_token_env"`
	Secret                notify.Secret `yaml:"secret"`
	SecretFile            string        `yaml:"secret_file"`
	SecretEnv             string        `yaml:"secret_env"`
	AllowPrivateAddresses bool          `yaml:"allow_private_addresses"`
	Channel               string        `yaml:"channel"`
	Username              string        `yaml:"username"`

	Smarthost    string        `yaml:"smarthost"`
	TLS          string        `yaml:"tls"`
	From         string        `yaml:"from"`
	To           []string      `yaml:"to"`
	AuthUser     string        `yaml:"auth_user"`
	Password     notify.Secret `yaml:"password"`
	PasswordFile string        `yaml:"password_file"`
	PasswordEnv  string        `yaml:"password_env"`
}

func defaultNotifications() Notifications {
	return Notifications{
		GroupBy: []string{"alertname"}, GroupWait: Duration(30 * time.Second), GroupInterval: Duration(5 * time.Minute),
		RepeatInterval: Duration(4 * time.Hour), SendResolved: true, Receivers: []Receiver{},
	}
}

// config reads the secrets and checks everything; an error names the key, never a value.
func (n *Notifications) config(externalURL string) (notify.Config, error) {
	c := notify.Config{
		GroupBy: n.GroupBy, GroupWait: time.Duration(n.GroupWait), GroupInterval: time.Duration(n.GroupInterval),
		RepeatInterval: time.Duration(n.RepeatInterval), SendResolved: n.SendResolved, ExternalURL: externalURL,
	}
	var all []error
	for i := range n.Receivers {
		r, err := n.Receivers[i].config(fmt.Sprintf("notifications.receivers[%d]", i))
		all = append(all, err)
		c.Receivers = append(c.Receivers, r)
	}
	if err := errors.Join(all...); err != nil {
		return c, err
	}
	return c, c.Check()
}

func (r *Receiver) config(key string) (notify.Receiver, error) {
	c := notify.Receiver{
		Name: r.Name, Type: r.Type, Matchers: r.Matchers, SendResolved: r.SendResolved, Timeout: time.Duration(r.Timeout),
		AllowPrivateAddresses: r.AllowPrivateAddresses, Channel: r.Channel, Username: r.Username,
		Smarthost: r.Smarthost, TLS: r.TLS, From: r.From, To: r.To, AuthUser: r.AuthUser,
	}
	var all []error
	for _, s := range []struct {
		to        *notify.Secret
		name      string
		text      notify.Secret
		file, env string
	}{
		{&c.URL, "url", r.URL, r.URLFile, r.URLEnv},
		{&c.BearerToken, "bearer_token", r.BearerToken, r.BearerTokenFile, r.BearerTokenEnv},
		{&c.Secret, "secret", r.Secret, r.SecretFile, r.SecretEnv},
		{&c.Password, "password", r.Password, r.PasswordFile, r.PasswordEnv},
	} {
		var err error
		if *s.to, err = readSecret(s.text, s.file, s.env); err != nil {
			all = append(all, fmt.Errorf("%s.%s: %w", key, s.name, err))
		}
	}
	return c, errors.Join(all...)
}

// readSecret takes a secret from where it stands.
func readSecret(text notify.Secret, file, env string) (notify.Secret, error) {
	given := 0
	for _, s := range []string{string(text), file, env} {
		if s != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return "", errors.New("may stand in one place only: here, in the _file or in the _env")
	case file != "":
		b, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		if len(strings.TrimSpace(string(b))) == 0 {
			return "", errors.New("the file is empty")
		}
		return notify.Secret(strings.TrimSpace(string(b))), nil
	case env != "":
		if os.Getenv(env) == "" {
			return "", fmt.Errorf("the environment has no %s", env)
		}
		return notify.Secret(os.Getenv(env)), nil
	}
	return text, nil
}

// reloadNotify replaces who is told. It changes nothing when it fails, and is the last that can.
func (a *App) reloadNotify(cfg Config) error {
	told, err := cfg.Notifications.config(cfg.externalURL())
	if err != nil {
		return err
	}
	return a.notify.Apply(told)
}

// startNotify starts what tells people about alerts.
func (a *App) startNotify(context.Context) error {
	cfg, err := a.cfg.Notifications.config(a.cfg.externalURL())
	if err != nil {
		return err
	}
	replica, err := replicaID(a.cfg.Data.Dir)
	if err != nil {
		return err
	}
	a.notify, err = notify.New(notify.Options{
		Config: cfg, Store: a.store, Office: a.store, Replica: replica, Interval: time.Duration(a.cfg.Alerts.EvaluationInterval),
		Logger: a.logger.With("component", "notify"), Registry: a.registry, Now: time.Now,
	})
	if err != nil {
		return err
	}
	a.notify.Start()
	a.started("notifications", a.notify.Stop)
	return nil
}

// replicaID names this replica: by a file in its data directory, so that it is the same after a
// restart.
func replicaID(dir string) (string, error) {
	path := filepath.Join(dir, "replica-id")
	text, err := os.ReadFile(path)
	if id, parseErr := uuid.Parse(strings.TrimSpace(string(text))); err == nil && parseErr == nil {
		return id.String(), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("reading the replica's name: %w", err)
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("naming the replica: %w", err)
	}
	if err := replaceFile(path, []byte(id.String()+"\n")); err != nil {
		return "", fmt.Errorf("writing the replica's name: %w", err)
	}
	return id.String(), nil
}
