package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/alecthomas/kong"

	"github.com/tidemark-obs/tidemark/internal/app"
)

// cli is the command line. Pointers tell what was said from what was not, so that the
// configuration file comes between the defaults and the environment.
type cli struct {
	Serve       serveCmd       `cmd:"" help:"Run the service."`
	Check       checkCmd       `cmd:"" help:"Validate files; on error tell every fault with its line, and exit 1."`
	Migrate     migrateCmd     `cmd:"" help:"Bring the database to the current schema."`
	Keys        keysCmd        `cmd:"" help:"Create, list and revoke access keys."`
	Export      exportCmd      `cmd:"" help:"Write stored events to an NDJSON, CSV or Parquet file."`
	Import      importCmd      `cmd:"" help:"Take in events from a file, or all that another service has."`
	Maintenance maintenanceCmd `cmd:"" help:"Keep the database within its bounds now."`
	Version     versionCmd     `cmd:"" help:"Print the version."`

	VersionFlag kong.VersionFlag `name:"version" help:"Print the version."`
}

// common are the options of every command that touches the service's data.
type common struct {
	ConfigFile      *string `name:"config.file" env:"TIDEMARK_CONFIG_FILE" placeholder:"FILE" help:"YAML configuration file."`
	DataDir         *string `name:"data.dir" env:"TIDEMARK_DATA_DIR" placeholder:"DIR" help:"Directory of the embedded database and journal (default ./data)."`
	DatabaseURL     *string `name:"database.url" env:"TIDEMARK_DATABASE_URL" placeholder:"URL" help:"postgres://user@host/name; empty means the embedded DuckDB."`
	DatabaseURLFile *string `name:"database.url-file" env:"TIDEMARK_DATABASE_URL_FILE" placeholder:"FILE" help:"File that holds the database URL."`
	LogLevel        *string `name:"log.level" env:"TIDEMARK_LOG_LEVEL" placeholder:"LEVEL" help:"debug, info, warn or error (default info)."`
	LogFormat       *string `name:"log.format" env:"TIDEMARK_LOG_FORMAT" placeholder:"FORMAT" help:"text or json (default text on a terminal, else json)."`
}

// config joins defaults, file, environment and flags, in this order.
func (o *common) config() (app.Config, error) {
	c := app.Default()
	if o.ConfigFile != nil && *o.ConfigFile != "" {
		if err := c.ReadFile(*o.ConfigFile); err != nil {
			return c, err
		}
	}
	lay(&c.Data.Dir, o.DataDir)
	lay(&c.Database.URL, o.DatabaseURL)
	lay(&c.Database.URLFile, o.DatabaseURLFile)
	lay(&c.Log.Level, o.LogLevel)
	lay(&c.Log.Format, o.LogFormat)
	return c, nil
}

func lay[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// streams are where commands print.
type streams struct {
	out, err io.Writer
	mode     fs.FileMode // of files that users ask for; 0 = as they are made
}

const description = `Tidemark takes in events and request timings, keeps every event it said yes to, and turns them into statistics, metrics and alerts.

With nothing configured it listens on 127.0.0.1:8080 and keeps everything under ./data. Begin with: tidemark serve`

func run(ctx context.Context, args []string, s streams) error {
	var c cli
	exit := -1
	parser, err := kong.New(&c,
		kong.Name("tidemark"), kong.Description(description), kong.UsageOnError(),
		kong.Writers(s.out, s.err), kong.Exit(func(code int) { exit = code }),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(s),
		kong.Vars{"version": "tidemark " + app.Version()},
	)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if exit == 0 { // --help or --version was answered
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w\nRun tidemark --help, or tidemark <command> --help", err)
	}
	return k.Run()
}

type serveCmd struct {
	common          `embed:""`
	ListenAddress   *string        `name:"web.listen-address" env:"TIDEMARK_WEB_LISTEN_ADDRESS" placeholder:"ADDR" help:"Where to listen (default 127.0.0.1:8080)."`
	ShutdownTimeout *time.Duration `name:"web.shutdown-timeout" env:"TIDEMARK_WEB_SHUTDOWN_TIMEOUT" placeholder:"DURATION" help:"How long draining may take at SIGTERM (default 30s)."`
	JournalURL      *string        `name:"journal.url" env:"TIDEMARK_JOURNAL_URL" placeholder:"URL" help:"nats://host:4222 of a JetStream cluster; empty means the embedded journal."`
	JournalURLFile  *string        `name:"journal.url-file" env:"TIDEMARK_JOURNAL_URL_FILE" placeholder:"FILE" help:"File that holds the journal URL."`
	AlertsRules     []string       `name:"alerts.rules" env:"TIDEMARK_ALERTS_RULES" placeholder:"PATTERN" help:"Rule files; may be given more than once (default alerts/*.rules.yaml, else the built-in ones)."`
	AlertsQueryURL  *string        `name:"alerts.query-url" env:"TIDEMARK_ALERTS_QUERY_URL" placeholder:"URL" help:"Prometheus-compatible server that answers the rules' queries; empty means the built-in store."`
}

func (s *serveCmd) config() (app.Config, error) {
	c, err := s.common.config()
	lay(&c.Web.ListenAddress, s.ListenAddress)
	lay(&c.Web.ShutdownTimeout, (*app.Duration)(s.ShutdownTimeout))
	lay(&c.Journal.URL, s.JournalURL)
	lay(&c.Journal.URLFile, s.JournalURLFile)
	if s.AlertsRules != nil {
		c.Alerts.Rules = s.AlertsRules
	}
	lay(&c.Alerts.QueryURL, s.AlertsQueryURL)
	if err != nil {
		return c, err
	}
	return c, c.Check()
}

type checkCmd struct {
	Config checkConfigCmd `cmd:"" help:"Validate a configuration file: keys and values."`
	Rules  checkRulesCmd  `cmd:"" help:"Validate rule files: YAML, expressions and templates."`
}

type checkConfigCmd struct {
	File string `arg:"" help:"The YAML file."`
}

func (cmd *checkConfigCmd) Run(s streams) error {
	if err := app.CheckFile(cmd.File); err != nil {
		return faulty(s, err)
	}
	_, err := fmt.Fprintf(s.out, "%s: valid\n", cmd.File)
	return err
}

type checkRulesCmd struct {
	Files []string `arg:"" help:"The rule files."`
}

func (cmd *checkRulesCmd) Run(s streams) error {
	var all []error
	for _, file := range cmd.Files {
		n, err := app.CheckRules(file)
		if err == nil {
			_, err = fmt.Fprintf(s.out, "%s: valid, %d rules\n", file, n)
		}
		all = append(all, err)
	}
	if err := errors.Join(all...); err != nil {
		return faulty(s, err)
	}
	return nil
}

// faulty prints faults, each on a line that begins with its place, as editors look for it.
func faulty(s streams, faults error) error {
	_, err := fmt.Fprintln(s.err, faults)
	return errors.Join(errors.New("not valid"), err)
}

type versionCmd struct{}

func (versionCmd) Run(s streams) error {
	_, err := fmt.Fprintln(s.out, "tidemark", app.Version())
	return err
}

type maintenanceCmd struct {
	common  `embed:""`
	Compact bool `help:"Write the database's files anew, without what was deleted; nothing is stored meanwhile."`
}

// Run does what the service does by itself every hour.
func (c *maintenanceCmd) Run(ctx context.Context, s streams) error {
	cfg, err := c.moving()
	if err == nil {
		err = cfg.HasData()
	}
	if err != nil {
		return err
	}
	return stopped(ctx, app.Maintain(ctx, cfg, c.Compact, s.out, s.err),
		"what was deleted stays deleted; run the same command again for the rest")
}

// stopped says what a signal has left undone, in the place of an error that only says that there was one.
func stopped(ctx context.Context, err error, left string) error {
	switch {
	case err == nil || ctx.Err() == nil:
		return err
	case errors.Is(err, context.Canceled):
		return errors.New("stopped: " + left)
	}
	return fmt.Errorf("stopped: %s (%w)", left, err)
}
