package dashboards

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// board is what the checks need of a dashboard.
type board struct {
	File          string `json:"-"`
	UID           string
	Title         string
	Description   string
	Tags          []string
	Editable      bool
	SchemaVersion int
	Refresh       string
	Time          struct{ From, To string }
	Panels        []panel
	Links         []struct {
		Type string
		Tags []string
	}
	Templating  struct{ List []variable }
	Annotations struct {
		List []struct {
			Name       string
			Datasource source
			Expr       string
			Target     target
		}
	}
}

type source struct{ Type, UID string }

type panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	Datasource  source
	GridPos     struct{ X, Y, W, H int }
	Targets     []target
	FieldConfig struct {
		Defaults struct {
			Unit     string
			Mappings []any
		}
		Overrides []struct {
			Matcher    struct{ Options any }
			Properties []struct {
				ID    string
				Value any
			}
		}
	}
}

type target struct {
	RefID        string
	Expr         string
	LegendFormat string
	Format       string
	Datasource   source
	Instant      bool
	Range        bool
	Exemplar     bool
}

type variable struct {
	Name       string
	Label      string
	Type       string
	Query      any
	Datasource source
	Multi      bool
	IncludeAll bool
	AllValue   string
	Refresh    int
	Current    struct{ Value any }
	Options    []struct{ Value any }
}

// question is the text of a query variable's query.
func (v variable) question() string {
	switch q := v.Query.(type) {
	case string:
		return q
	case map[string]any:
		text, _ := q["query"].(string)
		return text
	default:
		return ""
	}
}

func (b board) variable(name string) (variable, bool) {
	for _, v := range b.Templating.List {
		if v.Name == name {
			return v, true
		}
	}
	return variable{}, false
}

// drawn are the panels that show something, which rows do not.
func (b board) drawn() []panel {
	var all []panel
	for _, p := range b.Panels {
		if p.Type != "row" {
			all = append(all, p)
		}
	}
	return all
}

// boards reads all dashboards.
func boards(t *testing.T) []board {
	t.Helper()
	files, err := filepath.Glob("*.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 5 {
		t.Fatalf("there are %d dashboards: %v", len(files), files)
	}
	all := make([]board, len(files))
	for i, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = parse(t, b)
		all[i].File = file
	}
	return all
}

func parse(t *testing.T, b []byte) board {
	t.Helper()
	var d board
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	return d
}
