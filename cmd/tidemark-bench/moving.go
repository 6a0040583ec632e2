//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// exportWithin bounds one export.
const exportWithin = 3 * time.Minute

// export fetches all events as a file, over HTTP.
func (a *asking) export(ctx context.Context) (err error) {
	a.Export, err = a.exported(ctx, "parquet", io.Discard)
	return err
}

func (a *asking) exportLines(ctx context.Context) (err error) {
	a.ExportLines, err = a.exported(ctx, "ndjson", io.Discard)
	return err
}

func (a *asking) exported(ctx context.Context, format string, to io.Writer) (m moved, err error) {
	a.say("%s: exporting as %s", a.past.Database, format)
	ctx, cancel := context.WithTimeout(ctx, exportWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.service.addr+eventsPath+"/export?format="+format, nil)
	if err != nil {
		return m, err
	}
	begin := time.Now()
	answer, err := http.DefaultClient.Do(r) // without a limit on time
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	if answer.StatusCode != http.StatusOK {
		return m, fmt.Errorf("exporting: %s", answer.Status)
	}
	if m.Bytes, err = io.Copy(to, answer.Body); err != nil {
		return m, fmt.Errorf("exporting: %w", err)
	}
	m.Took, m.Events = time.Since(begin), a.past.Events
	m.PerSecond = perSecond(m.Events, m.Took)
	return m, nil
}

// importing takes an export into an empty database by the command, whose time counts from its
// start to its end.
func (a *asking) importing(ctx context.Context) (err error) {
	dir := filepath.Join(a.db.dir, "import")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(dir, "events.parquet"))
	if err != nil {
		return err
	}
	m, err := a.exported(ctx, "parquet", file)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	args := []string{"import", file.Name(), "--data.dir=" + filepath.Join(dir, dataDir), "--log.format=text"}
	if a.db.server != nil {
		address, err := a.db.create(ctx, "import")
		if err != nil {
			return err
		}
		args = append(args, "--database.url="+address)
	}
	a.say("%s: importing %d events", a.past.Database, m.Events)
	begin := time.Now()
	p, err := startProcess(exec.CommandContext(ctx, a.binary, args...), filepath.Join(dir, "import.log"))
	if err != nil {
		return err
	}
	<-p.gone
	if p.err != nil {
		return fmt.Errorf("importing: %w\n%s", p.err, p.said())
	}
	m.Took = time.Since(begin)
	m.PerSecond = perSecond(m.Events, m.Took)
	a.Import = m
	return nil
}
