package destination

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/tidemark-obs/tidemark/internal/event"
	"github.com/tidemark-obs/tidemark/internal/event/eventjson"
	"github.com/tidemark-obs/tidemark/internal/outbound"
)

const maxBrokerReply = 1 << 20 // bytes; none that is asked for is as large

// kafkaSender produces one record an event, acknowledged by all replicas in sync. Its key is the
// person, so that a person's events stay in order within their partition.
type kafkaSender struct {
	cfg    Config
	quoter quoter
	client *kgo.Client

	mu          sync.Mutex
	unconnected error  // why the last try to connect failed; nil = it did not
	giveUp      func() // ends what is being sent
}

func newKafka(c *Config) *kafkaSender { return &kafkaSender{cfg: *c, quoter: c.Secrets.quoter()} }

// OnBrokerConnect is told of every try to connect. The client itself tries again and says in the end
// that time is over, but not why.
func (k *kafkaSender) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, kgo.ErrClientClosed) || errors.Is(err, net.ErrClosed) {
		return // we gave up
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.unconnected = err
	if errors.Is(err, outbound.ErrPrivate) { // no other try mends that
		k.giveUp()
	}
}

func (k *kafkaSender) close() {
	if k.client != nil {
		k.client.Close()
		k.client = nil
	}
}

// dialer dials as all that leaves the service does, with TLS on top where it is wanted.
func (k *kafkaSender) dialer() func(ctx context.Context, network, address string) (net.Conn, error) {
	dial := outbound.Dialer(k.cfg.AllowPrivateAddresses)
	if !k.cfg.TLS {
		return dial
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		secure := tls.Client(conn, k.cfg.tls(host))
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return secure, nil
	}
}

func (k *kafkaSender) connect() error {
	if k.client != nil {
		return nil
	}
	var brokers []string
	for _, b := range strings.Split(k.cfg.URL, ",") {
		brokers = append(brokers, strings.TrimSpace(b))
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(brokers...), kgo.ClientID("tidemark"), kgo.DefaultProduceTopic(k.cfg.Topic), kgo.Dialer(k.dialer()),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(0),
		kgo.ProduceRequestTimeout(k.cfg.timeout()), kgo.MaxBufferedRecords(20_000),
		kgo.BrokerMaxReadBytes(maxBrokerReply), kgo.FetchMaxBytes(maxBrokerReply), kgo.WithHooks(k),
	}
	if k.cfg.Secrets.Username != "" {
		options = append(options, kgo.SASL(k.cfg.mechanism()))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return k.failure(err)
	}
	k.client = client
	return nil
}

// mechanism is how the brokers are told who asks.
func (c *Config) mechanism() sasl.Mechanism {
	auth := scram.Auth{User: c.Secrets.Username, Pass: c.Secrets.Password}
	switch c.SASL {
	case ScramSHA256:
		return auth.AsSha256Mechanism()
	case ScramSHA512:
		return auth.AsSha512Mechanism()
	}
	return plain.Auth{User: auth.User, Pass: auth.Pass}.AsMechanism()
}

// send produces all and waits, for as long as ctx says: the client's own limit counts from the time of
// an event and would refuse all that are older. After a failure the client is made anew: it would go on trying what
// is to be tried here, behind our back and in another order.
func (k *kafkaSender) send(ctx context.Context, events []event.Event) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	k.mu.Lock()
	k.giveUp = cancel
	k.mu.Unlock()
	if err := k.connect(); err != nil {
		return "", err
	}
	records := make([]*kgo.Record, len(events))
	for i := range events {
		e := &events[i]
		records[i] = &kgo.Record{
			Key: []byte(person(e)), Value: eventjson.Append(nil, e), Timestamp: e.Timestamp,
			Headers: []kgo.RecordHeader{{Key: "event_id", Value: []byte(e.ID)}},
		}
	}
	// A client that has sent something waits for the answer, context or not, unless it is closed.
	stop := context.AfterFunc(ctx, k.client.Close)
	err := k.client.ProduceSync(ctx, records...).FirstErr()
	if !stop() || err != nil {
		k.close()
	}
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return "", k.failure(err)
	}
	return "acknowledged by the brokers", nil
}

func (k *kafkaSender) failure(err error) error {
	k.mu.Lock()
	why := k.unconnected
	k.mu.Unlock()
	switch {
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge), errors.Is(err, kerr.InvalidRecord), errors.Is(err, kerr.InvalidTimestamp):
		return &failure{cause: k.quoter.quote(err.Error()), refused: true}
	case errors.Is(err, outbound.ErrPrivate), errors.Is(why, outbound.ErrPrivate):
		return &failure{cause: outbound.ErrPrivate.Error()}
	case errors.Is(why, io.EOF) && k.cfg.Secrets.Username != "": // some brokers say no more to who is not known
		return &failure{cause: "cannot connect: the broker hung up; does it know the username, the password and sasl?"}
	case why != nil:
		return &failure{cause: k.quoter.quote("cannot connect: " + why.Error())}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{cause: "no answer in time"}
	}
	return &failure{cause: k.quoter.quote(err.Error())}
}
