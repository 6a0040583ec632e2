package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Performance is one timed operation. It is of severity high where it took longer than the
// service's slow threshold.
type Performance struct {
	Operation  string
	Duration   time.Duration
	Failed     bool
	Error      string  // why it failed; an operation with an error has failed
	MemoryMB   float64 // mebibytes in use; 0 = unknown
	CPUPercent float64 // 0 = unknown
	Properties map[string]any
}

// Interaction is something a person did on a page.
type Interaction struct {
	Kind       string // click, scroll, …; becomes the event's name
	Element    string
	PagePath   string
	At         *Point
	Properties map[string]any
}

// Point is a place on a page, in pixels.
type Point struct{ X, Y float64 }

// PageView is a page that a person saw.
type PageView struct {
	Path       string
	Properties map[string]any
}

// APIRequest is one request that the application answered. From status 500 up it is an api_error
// of severity high. Path should be the route's template, without ids: it becomes part of the name.
type APIRequest struct {
	Method     string
	Path       string
	Status     int
	Duration   time.Duration
	Properties map[string]any
}

// Track tracks an event. Properties may hold whatever encoding/json can write; errors become their
// text.
func (c *Client) Track(ctx context.Context, name string, properties map[string]any, options ...Option) {
	e := c.begin(ctx, options)
	if e == nil {
		return
	}
	e.text("event", name)
	e.properties(properties)
	c.finish(ctx, e)
}

// TrackPerformance tracks a timed operation.
func (c *Client) TrackPerformance(ctx context.Context, p Performance, options ...Option) {
	e := c.begin(ctx, options)
	if e == nil {
		return
	}
	e.text("operation", p.Operation)
	e.milliseconds("duration_ms", p.Duration)
	e.bool("success", !p.Failed && p.Error == "")
	e.someText("error_message", p.Error)
	e.someNumber("memory_usage_mb", p.MemoryMB)
	e.someNumber("cpu_percent", p.CPUPercent)
	e.properties(p.Properties)
	c.finish(ctx, e)
}

// TrackInteraction tracks what a person did on a page.
func (c *Client) TrackInteraction(ctx context.Context, i Interaction, options ...Option) {
	e := c.begin(ctx, options)
	if e == nil {
		return
	}
	e.text("interaction_type", i.Kind)
	e.someText("element", i.Element)
	e.someText("page_path", i.PagePath)
	if i.At != nil {
		e.object("coordinates", map[string]any{"x": i.At.X, "y": i.At.Y})
	}
	e.properties(i.Properties)
	c.finish(ctx, e)
}

// TrackPageView tracks that a page was seen.
func (c *Client) TrackPageView(ctx context.Context, p PageView, options ...Option) {
	e := c.begin(ctx, options)
	if e == nil {
		return
	}
	if e.fields.texts[optionType] == "" {
		e.text("event_type", string(TypePageView))
	}
	e.text("path", p.Path)
	e.properties(p.Properties)
	c.finish(ctx, e)
}

// TrackRequest tracks a request that the application answered. Middleware does it for all of a
// server's.
func (c *Client) TrackRequest(ctx context.Context, r APIRequest, options ...Option) {
	e := c.begin(ctx, options)
	if e == nil {
		return
	}
	e.text("method", r.Method)
	e.text("path", r.Path)
	e.number("status_code", float64(r.Status))
	e.milliseconds("duration_ms", r.Duration)
	e.properties(r.Properties)
	c.finish(ctx, e)
}

// TrackError tracks a failure as the event "error", of severity high: its text as error_message,
// its innermost type as error_type. A nil error is no event.
func (c *Client) TrackError(ctx context.Context, err error, properties map[string]any, options ...Option) {
	if err == nil {
		return
	}
	e := c.begin(ctx, options)
	if e == nil {
		return
	}
	if e.fields.texts[optionSeverity] == "" {
		e.text("severity", string(High))
	}
	e.text("event", "error")
	whole := make(map[string]any, len(properties)+2)
	whole["error_message"], whole["error_type"] = errorText(err), innermost(err)
	for name, value := range properties {
		whole[name] = value
	}
	e.properties(whole)
	c.finish(ctx, e)
}

// textLength is the longest text that the service takes in a property.
const textLength = 1000

// errorText is an error's text as an event may have it. Nobody chooses how long an error gets, so
// it is cut where an application's own property would be refused.
func errorText(err error) string {
	text := strings.ToValidUTF8(textOf(err), "\ufffd")
	text = strings.ReplaceAll(text, "\x00", "\ufffd")
	if utf8.RuneCountInString(text) <= textLength {
		return text
	}
	runes := []rune(text)
	return string(runes[:textLength-1]) + "…"
}

// textOf keeps the panic of an Error method, such as that of a nil pointer, from the caller.
func textOf(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("an error of type %T that cannot tell its text", err)
		}
	}()
	return err.Error()
}

// innermost is the type of what err wraps. Nobody wraps deeper than wrappings by intent.
func innermost(err error) (name string) {
	const wrappings = 100
	defer func() {
		if recover() != nil {
			name = fmt.Sprintf("%T", err)
		}
	}()
	for range wrappings {
		inner := errors.Unwrap(err)
		if inner == nil {
			break
		}
		err = inner
	}
	return fmt.Sprintf("%T", err)
}
