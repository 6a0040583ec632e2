package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/tidemark-obs/tidemark/internal/errs"
)

// operation is a route and what the OpenAPI document says of it.
type operation struct {
	route
	id      string
	tag     string
	summary string
	detail  string
	status  int           // of success; 0 = 200
	takes   string        // the body's media type; empty = application/json
	params  []*huma.Param // of plain operations; huma finds the others itself
	faults  []int         // statuses it may answer beside those that every operation may
}

const routeKey = "route"

// describe makes the operation's entry in the OpenAPI document.
func (op *operation) describe() huma.Operation {
	if op.status == 0 {
		op.status = http.StatusOK
	}
	faults := append([]int{http.StatusInternalServerError}, op.faults...)
	var security []map[string][]string
	if !op.open {
		faults = append(faults, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests)
		security = []map[string][]string{{"bearer": {}}, {"apiKey": {}}}
	}
	return huma.Operation{
		OperationID: op.id, Method: op.method, Path: op.path, Summary: op.summary, Description: op.detail,
		Tags: []string{op.tag}, DefaultStatus: op.status, Errors: faults, Security: security,
		Metadata: map[string]any{routeKey: op.route}, Parameters: op.params,
	}
}

// read registers an operation without a request body: huma reads its parameters and writes
// its answer.
func read[I, O any](s *Server, op operation, h func(context.Context, *I) (*O, error)) {
	huma.Register(s.api, op.describe(), func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err != nil {
			return nil, problemOf(err)
		}
		return out, nil
	})
}

// payload says what a request body or an answer looks like: a value of its type.
type payload any

// plain registers an operation that reads its request body itself.
func (s *Server) plain(op operation, in payload, out map[int]payload, h handler) {
	d := op.describe()
	d.RequestBody = s.requestBody(op.takes, in)
	d.Responses = make(map[string]*huma.Response, len(out)+len(d.Errors))
	for status, p := range out {
		d.Responses[strconv.Itoa(status)] = s.answer(status, "application/json", p)
	}
	if in != nil {
		d.Errors = append(d.Errors, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
			http.StatusUnprocessableEntity)
	}
	for _, status := range d.Errors {
		d.Responses[strconv.Itoa(status)] = s.answer(status, problemType, Problem{})
	}
	s.api.OpenAPI().AddOperation(&d)
	s.handle(op.route, h)
}

func (s *Server) requestBody(kind string, in payload) *huma.RequestBody {
	if in == nil {
		return nil
	}
	if kind == "" {
		kind = "application/json"
	}
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		kind: {Schema: s.schema(in)},
	}}
}

func (s *Server) answer(status int, kind string, p payload) *huma.Response {
	return &huma.Response{Description: http.StatusText(status), Content: map[string]*huma.MediaType{
		kind: {Schema: s.schema(p)},
	}}
}

func (s *Server) schema(p payload) *huma.Schema {
	return s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(p), true, "")
}

// adapter puts huma's operations on our routes.
type adapter struct{ s *Server }

func (a adapter) Handle(op *huma.Operation, h func(huma.Context)) {
	rt, _ := op.Metadata[routeKey].(route)
	a.s.handle(rt, func(w http.ResponseWriter, r *http.Request) error {
		h(humago.NewContext(op, r, w))
		return nil
	})
}

func (a adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.s.ServeHTTP(w, r) }

// newAPI makes the OpenAPI document and huma's side of the API. Problems take the place of
// huma's own errors, which repeat values, in a transformer: its constructor is a global.
func (s *Server) newAPI() huma.API {
	schemas := huma.NewMapRegistry("#/components/schemas/", schemaName)
	schemas.RegisterTypeAlias(reflect.TypeFor[huma.ErrorModel](), reflect.TypeFor[Problem]())
	return huma.NewAPI(huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{Title: "Tidemark", Version: s.deps.Version,
				Description: "Events in, kept once, and questions about them answered."},
			Components: &huma.Components{
				Schemas: schemas,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"bearer": {Type: "http", Scheme: "bearer", Description: "Authorization: Bearer KEY"},
					"apiKey": {Type: "apiKey", In: "header", Name: "X-API-Key"},
				},
			},
		},
		Formats: map[string]huma.Format{
			"application/json": format(),
			"json":             format(), // what huma looks up for application/problem+json
		},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{s.asProblem},
	}, adapter{s})
}

// asProblem makes every error that huma is about to write one of our problems.
func (s *Server) asProblem(ctx huma.Context, _ string, v any) (any, error) {
	var p *Problem
	switch e := v.(type) {
	case *Problem:
		p = e
	case *huma.ErrorModel:
		p = fromHuma(e)
	default:
		return v, nil
	}
	r, w := humago.Unwrap(ctx)
	p.RequestID = requestIDOf(w)
	s.logFault(w, r, p)
	return p, nil
}

// fromHuma keeps the places and messages of huma's findings and drops the values.
func fromHuma(e *huma.ErrorModel) *Problem {
	p := newProblem(e.Status, "the request has invalid parameters")
	if e.Status >= http.StatusInternalServerError {
		p.Detail = internalDetail
		return p
	}
	for _, d := range e.Errors {
		if d == nil {
			continue
		}
		_, name, _ := strings.Cut(d.Location, ".")
		p.Errors = append(p.Errors, errs.Field{Location: name, Message: d.Message})
	}
	return p
}

// document writes the OpenAPI document, indented so that it can be read and compared.
func (s *Server) document() ([]byte, error) {
	raw, err := json.Marshal(s.api.OpenAPI())
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}
