package transfer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// Progress keeps how far an import of one file is.
type Progress struct {
	path string
	at   progressState
}

type progressState struct {
	Source string `json:"source"` // the file and where it goes to
	Row    int64  `json:"row"`
}

// OpenProgress reads how far an earlier attempt from source came; the row is 0 when there was none.
func OpenProgress(path, source string) (p *Progress, row int64, err error) {
	p = &Progress{path: path, at: progressState{Source: source}}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return p, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading the state: %w", err)
	}
	var s progressState
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, 0, errs.Wrap(errs.Malformed, path+" is not the state of an import", err)
	}
	if s.Source != source {
		return nil, 0, errs.New(errs.Conflict, path+" is the state of another import; remove it or name another one")
	}
	return p, s.Row, nil
}

// Save keeps that every row up to this one is taken in.
func (p *Progress) Save(row int64) error {
	p.at.Row = row
	return writeState(p.path, p.at)
}

// Finish forgets the state: the import is complete.
func (p *Progress) Finish() error {
	err := os.Remove(p.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
