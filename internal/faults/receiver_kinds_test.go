//go:build linux

package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tidemark-obs/tidemark/internal/journal/journaltest"
	"github.com/tidemark-obs/tidemark/internal/kafkatest"
)

// counterparts are services of every kind but the webhook, by the name of their destination, which is
// the kind's.
func counterparts(t *testing.T, s *service) map[string]*counterpart {
	t.Helper()
	all := map[string]idsOf{"segment": segmentIDs, "posthog": postHogIDs, "otlp": otlpIDs, "json": jsonIDs}
	made := make(map[string]*counterpart)
	for name, ids := range all {
		c, url := newCounterpart(t)
		c.ids, c.sound = ids, true
		made[name] = c
		kind := name
		more := `, "secrets": {"token": "a key"}`
		if name == "json" {
			kind, more = "webhook", `, "format": "json"`
		}
		s.addDestination(name, fmt.Sprintf(`"kind": %q, "url": %q%s`, kind, url, more))
	}
	made["kafka"], made["nats"] = addKafka(t, s), addNATS(t, s)
	return made
}

// idsOf takes the ids out of a request.
type idsOf func(body []byte) ([]string, error)

func cloudEventIDs(body []byte) (ids []string, err error) {
	var batch []struct{ ID string }
	err = json.Unmarshal(body, &batch)
	for _, e := range batch {
		ids = append(ids, e.ID)
	}
	return ids, err
}

func jsonIDs(body []byte) (ids []string, err error) {
	var in struct {
		Events []struct {
			ID string `json:"event_id"`
		}
	}
	err = json.Unmarshal(body, &in)
	for _, e := range in.Events {
		ids = append(ids, e.ID)
	}
	return ids, err
}

func segmentIDs(body []byte) (ids []string, err error) {
	var in struct{ Batch []struct{ MessageID string } }
	err = json.Unmarshal(body, &in)
	for _, e := range in.Batch {
		ids = append(ids, e.MessageID)
	}
	return ids, err
}

func postHogIDs(body []byte) (ids []string, err error) {
	var in struct {
		Batch []struct {
			Properties struct {
				ID string `json:"tidemark_event_id"`
			}
		}
	}
	err = json.Unmarshal(body, &in)
	for _, e := range in.Batch {
		ids = append(ids, e.Properties.ID)
	}
	return ids, err
}

func otlpIDs(body []byte) (ids []string, err error) {
	var in collogs.ExportLogsServiceRequest
	err = proto.Unmarshal(body, &in)
	for _, r := range in.GetResourceLogs() {
		for _, scope := range r.GetScopeLogs() {
			for _, record := range scope.GetLogRecords() {
				for _, a := range record.GetAttributes() {
					if a.GetKey() == "log.record.uid" {
						ids = append(ids, a.GetValue().GetStringValue())
					}
				}
			}
		}
	}
	return ids, err
}

// addKafka adds a destination whose broker keeps what comes until it is looked at.
func addKafka(t *testing.T, s *service) *counterpart {
	t.Helper()
	broker := kafkatest.Start(t)
	s.addDestination("kafka", fmt.Sprintf(`"kind": "kafka", "url": %q, "topic": %q, "timeout_ms": 2000`, broker.Address(), kafkatest.Topic))
	c := &counterpart{order: make(map[string]int), leave: broker.Away}
	c.collect = func() error {
		for {
			records := broker.Read(100 * time.Millisecond)
			if len(records) == 0 {
				return nil
			}
			for _, r := range records {
				c.take(string(r.Headers[0].Value))
			}
		}
	}
	return c
}

// addNATS adds a destination whose stream keeps what comes until it is looked at. While the server is
// away it does not run.
func addNATS(t *testing.T, s *service) *counterpart {
	t.Helper()
	const stream, most = "EVENTS", 1000
	server := journaltest.StartCluster(t, 1)
	err := server.Manage(func(ctx context.Context, js jetstream.JetStream) error {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: stream, Subjects: []string{"events"}, Storage: jetstream.FileStorage})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s.addDestination("nats", fmt.Sprintf(`"kind": "nats", "url": %q, "subject": "events", "timeout_ms": 2000`, server.URL()))
	c, last := &counterpart{order: make(map[string]int)}, uint64(0)
	c.leave = func(away bool) {
		if away {
			server.Stop(0)
		} else {
			server.Start(0)
		}
	}
	c.collect = func() error {
		return server.Manage(func(ctx context.Context, js jetstream.JetStream) error {
			reader, err := js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{
				DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: last + 1, AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: time.Minute,
			})
			for n := most; err == nil && n > 0; {
				var batch jetstream.MessageBatch
				if batch, err = reader.FetchNoWait(most); err != nil {
					break
				}
				n = 0
				for m := range batch.Messages() {
					at, err := m.Metadata()
					if err != nil {
						return err
					}
					last, n = at.Sequence.Stream, n+1
					c.take(strings.TrimPrefix(m.Headers().Get(nats.MsgIdHdr), "nats/"))
				}
				err = batch.Error()
			}
			return err
		})
	}
	return c
}

// addDestination makes a destination.
func (s *service) addDestination(name, settings string) {
	s.t.Helper()
	body := fmt.Sprintf(`{"name": %q, %s, "allow_private_addresses": true}`, name, settings)
	if status, answer, err := s.do(http.MethodPost, "/api/analytics/destinations", body); err != nil || status != http.StatusCreated {
		s.t.Fatal(errors.Join(fmt.Errorf("%d %s", status, answer), err))
	}
}

// addWebhook makes a destination of CloudEvents.
func (s *service) addWebhook(name, to string) {
	s.t.Helper()
	s.addDestination(name, fmt.Sprintf(`"kind": "webhook", "url": %q`, to))
}
