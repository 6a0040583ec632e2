package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tidemark-obs/tidemark/internal/app"
)

type keysCmd struct {
	Create keysCreateCmd `cmd:"" help:"Create a key and print it; it is shown only once."`
	List   keysListCmd   `cmd:"" help:"List the keys, without the keys themselves."`
	Revoke keysRevokeCmd `cmd:"" help:"Revoke a key; the service refuses it within seconds."`
}

// open finds the keys: in the database, or, while the service holds the embedded one, through it.
// Only the first key may come before the service's data.
func (o *common) open(ctx context.Context, s streams, creates bool) (*app.KeyAdmin, error) {
	cfg, err := o.config()
	if err == nil {
		err = cfg.Check()
	}
	if err == nil && !creates {
		err = cfg.HasData()
	}
	if err != nil {
		return nil, err
	}
	return app.OpenKeys(ctx, cfg, s.err)
}

type keysCreateCmd struct {
	common `embed:""`
	Name   string   `arg:"" help:"What the key is for, as shop-backend."`
	Scopes []string `name:"scope" required:"" enum:"ingest,read,admin" help:"ingest, read or admin; may be given more than once."`
}

func (c *keysCreateCmd) Run(ctx context.Context, s streams) error {
	keys, err := c.open(ctx, s, true)
	if err != nil {
		return err
	}
	defer keys.Close()
	key, _, err := keys.Create(ctx, c.Name, c.Scopes)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, key)
	return err
}

type keysListCmd struct {
	common `embed:""`
}

func (c *keysListCmd) Run(ctx context.Context, s streams) error {
	keys, err := c.open(ctx, s, false)
	if err != nil {
		return err
	}
	defer keys.Close()
	all, err := keys.List(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tKEY\tSCOPES\tCREATED\tLAST USED\tSTATE")
	for _, k := range all {
		state := "valid"
		if !k.RevokedAt.IsZero() {
			state = "revoked " + day(k.RevokedAt)
		}
		fmt.Fprintf(w, "%s\t%s\t%s…\t%s\t%s\t%s\t%s\n", k.ID, k.Name, k.Hint, strings.Join(k.Scopes, ","), day(k.CreatedAt), day(k.LastUsedAt), state)
	}
	return w.Flush()
}

func day(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.DateTime)
}

type keysRevokeCmd struct {
	common `embed:""`
	ID     string `arg:"" help:"The key's id, see tidemark keys list."`
}

func (c *keysRevokeCmd) Run(ctx context.Context, s streams) error {
	keys, err := c.open(ctx, s, false)
	if err != nil {
		return err
	}
	defer keys.Close()
	if err := keys.Revoke(ctx, c.ID); err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, "revoked", c.ID)
	return err
}
