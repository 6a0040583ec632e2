package destination

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// authority is a certificate authority of a test's own.
type authority struct {
	pem  string // as ca wants it
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "own authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	raw, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}))
	return a
}

// server is for a server at 127.0.0.1, or at a name that it is not reached by.
func (a *authority) server(t *testing.T, name string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if name == "" {
		leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	} else {
		leaf.DNSNames = []string{name}
	}
	raw, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}

func (a *authority) client(t *testing.T) *tls.Config {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(a.pem)) {
		t.Fatal("no certificate")
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

const unknownAuthority = "certificate signed by unknown authority"

// says has test calls fail, and wants a text in the answer.
func (w *world) says(s Settings, want string) {
	w.Helper()
	s.Name, s.AllowPrivateAddresses, s.TimeoutMS = "refused", true, 2000
	_, _, err := w.manager.Put(context.Background(), &Request{Settings: s})
	w.ok(err)
	until(w.TB, s.Kind+" to say "+want, func() bool { // once it was quick enough to find out
		result, err := w.manager.Test(context.Background(), s.Name)
		w.ok(err)
		if result.Success {
			w.Fatalf("%s says %+v, want %q", s.Kind, result, want)
		}
		return strings.Contains(result.Answer, want)
	})
	w.ok(w.manager.Delete(context.Background(), s.Name))
}

func natsWithTLS(t *testing.T, c *tls.Config) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, TLS: true, TLSConfig: c})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server does not start")
	}
	return s
}

func TestNATSWithTLS(t *testing.T) {
	w, own, other := newWorld(t, 0), newAuthority(t), newAuthority(t)
	s := natsWithTLS(t, own.server(t, ""))
	url := "nats://" + s.Addr().String()
	nc, err := nats.Connect(url, nats.Secure(own.client(t)))
	w.ok(err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	w.ok(err)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events"}})
	w.ok(err)
	good := Settings{Name: "n", Kind: NATS, URL: url, Subject: "events", CA: own.pem}
	w.put(good, Secrets{})
	w.send(50)
	until(t, "all events", func() bool {
		i, err := stream.Info(t.Context())
		w.ok(err)
		return i.State.Msgs >= 50
	})
	bad := good
	bad.CA = other.pem
	w.says(bad, unknownAuthority)
	bad.CA = "" // the system's authorities, which do not know it
	w.says(bad, unknownAuthority)
	bad.URL = "tls://" + s.Addr().String()
	w.says(bad, unknownAuthority)
	bad.CA, bad.URL = own.pem, "nats://"+natsWithTLS(t, own.server(t, "elsewhere.example.com")).Addr().String()
	w.says(bad, "cannot validate certificate for 127.0.0.1")
	plain := natsServer(t, t.TempDir(), -1, false)
	defer func() { plain.Shutdown(); plain.WaitForShutdown() }()
	bad.URL = plain.ClientURL()
	w.says(bad, "secure connection not available")
}

func kafkaWithTLS(t *testing.T, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append(options, kfake.NumBrokers(1), kfake.SeedTopics(1, "events"))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

func TestKafkaWithTLS(t *testing.T) {
	w, own, other := newWorld(t, 0), newAuthority(t), newAuthority(t)
	address := func(c *kfake.Cluster) string { return strings.Join(c.ListenAddrs(), ",") }
	cluster := kafkaWithTLS(t, kfake.TLS(own.server(t, "")))
	good := Settings{Name: "k", Kind: Kafka, URL: address(cluster), Topic: "events", TLS: true, CA: own.pem}
	w.put(good, Secrets{})
	w.send(50)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("events"), kgo.DialTLSConfig(own.client(t)))
	w.ok(err)
	defer client.Close()
	ids := map[string]bool{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for len(ids) < 50 {
		fetches := client.PollFetches(ctx)
		w.ok(ctx.Err())
		fetches.EachRecord(func(r *kgo.Record) { ids[string(r.Headers[0].Value)] = true })
	}
	bad := good
	bad.CA = other.pem
	w.says(bad, unknownAuthority)
	bad.CA = "" // the system's authorities, which do not know it
	w.says(bad, unknownAuthority)
	bad.TLS = false
	w.says(bad, "is TLS missing?")
	bad = good
	bad.URL = address(kafkaWithTLS(t, kfake.TLS(own.server(t, "elsewhere.example.com"))))
	w.says(bad, "cannot validate certificate for 127.0.0.1")
}
