//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
)

// step is a part of a measurement.
type step struct {
	name   string
	do     func(context.Context) error
	needed bool // without it there is nothing for the others to measure
}

// each does steps in turn and writes down what there is after each. One that fails is told in the
// end and keeps the others from measuring only where it is needed, or when no time is left.
func (b *bench) each(ctx context.Context, of string, steps []step) error {
	var failed []error
	for _, s := range steps {
		err := s.do(ctx)
		if err != nil {
			err = fmt.Errorf("%s: %s: %w", of, s.name, err)
			b.say("%v", err)
			failed = append(failed, err)
		}
		if b.keep != nil {
			if err := b.keep(); err != nil {
				b.say("what was measured so far is not kept: %v", err)
			}
		}
		if ctx.Err() != nil || err != nil && s.needed {
			break
		}
	}
	return errors.Join(failed...)
}
