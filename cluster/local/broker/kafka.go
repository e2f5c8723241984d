package broker

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

const (
	// KafkaAdminUser is the super user: by SCRAM, by PLAIN, as the subject of a token, and as the common name of the client
	// certificate.
	KafkaAdminUser = "admin"

	// KafkaPlainUser is another super user, by PLAIN alone.
	KafkaPlainUser = "plain-admin"
)

// KafkaOptions say how Kafka is configured. Only Dir is required.
type KafkaOptions struct {
	// Dir holds data, configuration, certificates and logs. A cluster started in a Dir that was used before has the same
	// data, passwords and certificates. Every new partition waits for the disk: thousands are there three times as soon
	// in a Dir in memory, such as below /dev/shm.
	Dir string

	// Nodes is how many there are. Each is broker and controller. Default: 1.
	Nodes int

	// Ports that clients connect to: SASL_PLAINTEXT, SASL_SSL and SSL of the first node, then of the second. Default: free
	// ones.
	Ports []int

	// Advertise returns the address that the node numbered from 1 tells clients of its SASL_PLAINTEXT listener, which is
	// at addr: so a [Proxy] can stand between. The other listeners, and the nodes among each other, do without.
	Advertise func(node int, addr string) (string, error)

	// PlainUsers are users with their passwords, for PLAIN. They have no rights beyond their ACLs.
	PlainUsers map[string]string

	// TieredStorage gives the cluster a remote storage, which is a folder: remote.storage.enable then works for topics.
	TieredStorage bool

	// Config is added to server.properties, and wins over everything above.
	Config map[string]string

	// Heap of each node, such as 1g. Default: 256m, which is enough for some thousand partitions.
	Heap string

	// LogFile: default kafka.log in the node's folder. The second node's ends in -2.log, and so on.
	LogFile string

	// Detached lets the nodes outlive the process that starts them. PIDFile and Mark: see process.Spec. The second node's
	// PIDFile ends in -2.pid, and so on.
	Detached bool
	PIDFile  string
	Mark     string

	// Progress is told about a download. Default: standard error.
	Progress io.Writer

	classes string // A flag of the JVM: see distribution.archived.
}

// Kafka is a running cluster. Its fields are constant; its methods must not be called concurrently, but for those of
// different nodes.
type Kafka struct {
	// Bootstrap servers, separated by commas. All clients must authenticate.
	Addr     string // SASL_PLAINTEXT: SCRAM-SHA-256, SCRAM-SHA-512, PLAIN, OAUTHBEARER.
	TLSAddr  string // SASL_SSL: the same.
	MTLSAddr string // SSL: the client's certificate, by its common name.

	Nodes []*KafkaNode

	AdminUser, AdminPassword string // KafkaAdminUser.
	PlainUser, PlainPassword string // KafkaPlainUser.

	// Issuer signs the tokens that OAUTHBEARER takes.
	Issuer *Issuer

	// TLSFiles have a client certificate of the AdminUser.
	TLSFiles

	Dir string

	opts      KafkaOptions
	clusterID string
}

// StartKafka starts Kafka and returns when every node answers and knows every other.
func StartKafka(ctx context.Context, o KafkaOptions) (*Kafka, error) {
	if o.Dir == "" {
		return nil, errors.New("cannot start kafka: Dir is required")
	}
	if o.Progress == nil {
		o.Progress = os.Stderr
	}
	jars, err := KafkaJars(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	if o.classes == "" {
		if o.classes, err = kafkaDistribution.archived(ctx, o.Progress, jars, trainKafka); err != nil {
			return nil, err
		}
	}
	k, err := tryKafka(ctx, o, jars)
	if o.Ports == nil && portTaken(err) {
		return tryKafka(ctx, o, jars)
	}
	return k, err
}

func tryKafka(ctx context.Context, o KafkaOptions, jars string) (*Kafka, error) {
	k, err := newKafka(o)
	if err != nil {
		return nil, err
	}
	for _, n := range k.Nodes {
		if n.jvm, err = newJVM(jars, cmp.Or(o.Heap, "256m"), n.dir, o.classes, k.issuerFlag()); err != nil {
			return nil, fmt.Errorf("cannot start kafka: %w", err)
		}
		if err := n.advertise(o.Advertise); err != nil {
			return nil, err
		}
	}
	k.Addr = k.addrs(func(n *KafkaNode) string { return n.Addr })
	if err := k.start(ctx); err != nil {
		return nil, errors.Join(err, k.Kill())
	}
	return k, nil
}

func trainKafka(ctx context.Context, dir, flag string) error {
	k, err := StartKafka(ctx, KafkaOptions{Dir: dir, classes: flag})
	if err != nil {
		return err
	}
	return k.Nodes[0].proc.Stop(trainGrace)
}

// AttachKafka returns the cluster that an earlier StartKafka with the same options, ports and PIDFile has left running: it
// can be stopped, and not restarted. The error wraps os.ErrNotExist if a node does not run.
func AttachKafka(o KafkaOptions) (*Kafka, error) {
	// First, because newKafka writes files.
	if _, err := process.Attach(process.Spec{Name: "kafka", PIDFile: o.PIDFile}); err != nil {
		return nil, err
	}
	k, err := newKafka(o)
	if err != nil {
		return nil, err
	}
	for _, n := range k.Nodes {
		if n.proc, err = process.Attach(process.Spec{Name: n.name, LogFile: n.LogFile, PIDFile: n.pidFile}); err != nil {
			return nil, err
		}
	}
	return k, nil
}

func newKafka(o KafkaOptions) (*Kafka, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot start kafka: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot create folder of kafka: %w", err)
	}
	k := &Kafka{Dir: dir, AdminUser: KafkaAdminUser, PlainUser: KafkaPlainUser, opts: o}
	if err := k.prepare(); err != nil {
		return nil, err
	}
	return k, k.prepareNodes(max(o.Nodes, 1))
}

// prepare writes whatever is not there yet: passwords, certificates, the issuer's key.
func (k *Kafka) prepare() (err error) {
	if k.AdminPassword, err = keepPassword(filepath.Join(k.Dir, "admin-password")); err != nil {
		return err
	}
	if k.PlainPassword, err = keepPassword(filepath.Join(k.Dir, "plain-password")); err != nil {
		return err
	}
	if k.TLSFiles, err = keepTLS(filepath.Join(k.Dir, "tls"), "kafka", KafkaAdminUser); err != nil {
		return err
	}
	store, err := k.keyStore()
	if err != nil {
		return err
	}
	if err := writeFile(k.keyStoreFile(), store); err != nil {
		return err
	}
	if k.Issuer, err = keepIssuer(filepath.Join(k.Dir, "issuer.key")); err != nil {
		return err
	}
	if err := writeFile(k.jwksFile(), k.Issuer.JWKS()); err != nil {
		return err
	}
	k.clusterID, err = keepClusterID(filepath.Join(k.Dir, "cluster-id"))
	return err
}

// keepClusterID returns what Kafka calls a UUID. Its first bit is 0, or it could begin with a dash, like an option.
func keepClusterID(file string) (string, error) {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // Never fails.
	id[0] &= 0x7f
	if err := writeOnce(file, []byte(base64.RawURLEncoding.EncodeToString(id))); err != nil {
		return "", err
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("cannot read cluster id: %w", err)
	}
	return string(b), nil
}

// prepareNodes gives every node its folder and its ports.
func (k *Kafka) prepareNodes(n int) error {
	if given := len(k.opts.Ports); given != 0 && given != 3*n {
		return fmt.Errorf("cannot start kafka: %d nodes want %d ports, and Ports has %d", n, 3*n, given)
	}
	ports, err := process.FreePorts(5 * n)
	if err != nil {
		return err
	}
	for i := range n {
		node := &KafkaNode{ID: i + 1, kafka: k, name: numbered("kafka", i+1), ports: ports[5*i : 5*i+5]}
		if k.opts.Ports != nil {
			copy(node.ports, k.opts.Ports[3*i:3*i+3])
		}
		node.Addr, node.TLSAddr, node.MTLSAddr = process.Loopback(node.ports[0]), process.Loopback(node.ports[1]), process.Loopback(node.ports[2])
		node.dir = filepath.Join(k.Dir, fmt.Sprintf("node-%d", node.ID))
		node.LogFile, node.pidFile = numbered(k.opts.LogFile, node.ID), numbered(k.opts.PIDFile, node.ID)
		if node.LogFile == "" {
			node.LogFile = filepath.Join(node.dir, "kafka.log")
		}
		k.Nodes = append(k.Nodes, node)
	}
	k.Addr = k.addrs(func(n *KafkaNode) string { return n.Addr })
	k.TLSAddr = k.addrs(func(n *KafkaNode) string { return n.TLSAddr })
	k.MTLSAddr = k.addrs(func(n *KafkaNode) string { return n.MTLSAddr })
	return nil
}

// numbered adds -2 to the second node's name, before an extension: the first one's is as it was given.
func numbered(name string, id int) string {
	if id == 1 || name == "" {
		return name
	}
	ext := filepath.Ext(name)
	return strings.TrimSuffix(name, ext) + "-" + strconv.Itoa(id) + ext
}

func (k *Kafka) addrs(of func(*KafkaNode) string) string {
	addrs := make([]string, len(k.Nodes))
	for i, n := range k.Nodes {
		addrs[i] = of(n)
	}
	return strings.Join(addrs, ",")
}

// start starts all nodes and waits until each knows all. One alone would wait for a majority for ever.
func (k *Kafka) start(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, n := range k.Nodes {
		g.Go(func() error { return n.start(ctx, len(k.Nodes)) })
	}
	return g.Wait()
}

// Stop ends all nodes the way an operator does. It is idempotent.
func (k *Kafka) Stop() error { return k.each((*KafkaNode).Stop) }

// Kill ends all nodes with SIGKILL. It is idempotent.
func (k *Kafka) Kill() error { return k.each((*KafkaNode).Kill) }

// Pause freezes all nodes: they keep their connections, and answer nothing. It is idempotent.
func (k *Kafka) Pause() error { return k.each((*KafkaNode).Pause) }

// Resume ends a Pause. It is idempotent.
func (k *Kafka) Resume() error { return k.each((*KafkaNode).Resume) }

// each calls f for all nodes at once: a node that stops waits for the others' help, and gets none from one that is frozen.
func (k *Kafka) each(f func(*KafkaNode) error) error {
	var g errgroup.Group
	for _, n := range k.Nodes {
		g.Go(func() error { return f(n) })
	}
	return g.Wait()
}

// Restart starts all nodes again on the same ports, with their data; those that run are stopped first.
func (k *Kafka) Restart(ctx context.Context) error {
	if err := k.Stop(); err != nil {
		return err
	}
	return k.start(ctx)
}
