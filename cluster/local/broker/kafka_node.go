package broker

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

// A KafkaNode is one node of a cluster: a broker and a controller in one process.
type KafkaNode struct {
	ID int // From 1.

	// host:port of the listeners, as the node tells them to clients.
	Addr, TLSAddr, MTLSAddr string

	LogFile string

	kafka   *Kafka
	name    string
	dir     string
	pidFile string
	ports   []int // By listener: see the constants.
	jvm     jvm
	proc    *process.Process
}

// Indexes of KafkaNode.ports.
const (
	saslPort = iota
	tlsPort
	mtlsPort
	internalPort
	controllerPort
)

func (n *KafkaNode) listen(port int) string { return process.Loopback(n.ports[port]) }

func (n *KafkaNode) advertise(f func(node int, addr string) (string, error)) (err error) {
	if f == nil {
		return nil
	}
	if n.Addr, err = f(n.ID, n.listen(saslPort)); err != nil {
		return fmt.Errorf("cannot advertise node %d of kafka: %w", n.ID, err)
	}
	return nil
}

func (n *KafkaNode) configFile() string { return filepath.Join(n.dir, "server.properties") }

// start starts the node and returns when it answers and knows that many nodes.
func (n *KafkaNode) start(ctx context.Context, nodes int) error {
	if n.jvm.program == "" {
		return fmt.Errorf("cannot start %s: it was attached to, and not started by this process", n.name)
	}
	if err := writeFile(n.configFile(), []byte(n.config())); err != nil {
		return err
	}
	if err := n.format(ctx); err != nil {
		return err
	}
	proc, err := n.jvm.run(ctx, process.Spec{
		Name: n.name, LogFile: n.LogFile, Detached: n.kafka.opts.Detached, PIDFile: n.pidFile, Mark: n.kafka.opts.Mark,
	}, func(context.Context) error { return n.ping(nodes) }, "kafka.Kafka", n.configFile())
	if err != nil {
		return err
	}
	n.proc = proc
	return nil
}

// format prepares the data folder, once: with the administrator, whom nobody could create otherwise.
func (n *KafkaNode) format(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(n.dataDir(), "meta.properties")); err == nil {
		return nil
	}
	// The password is in a file, because arguments can be seen by everybody.
	args := filepath.Join(n.dir, "format.args")
	if err := writeFile(args, []byte(n.formatArgs())); err != nil {
		return err
	}
	// What it prints holds the salted password.
	log, err := os.OpenFile(filepath.Join(n.dir, "format.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write log of kafka-storage: %w", err)
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, n.jvm.program, n.jvm.args("kafka.tools.StorageTool", "@"+args)...)
	cmd.Env = append(os.Environ(), n.jvm.env()...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = n.dir, log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cannot format storage of %s: %w: %s", n.name, err, exception(log.Name())) // The log as a whole is not fit to be shown.
	}
	return os.Remove(args)
}

func (n *KafkaNode) formatArgs() string {
	user := fmt.Sprintf("[name=%s,password=%s]", n.kafka.AdminUser, n.kafka.AdminPassword)
	return fmt.Sprintf("format\n--cluster-id\n%s\n--config\n%s\n--add-scram\nSCRAM-SHA-256=%s\n--add-scram\nSCRAM-SHA-512=%s\n",
		n.kafka.clusterID, n.configFile(), user, user)
}

// pingTimeout is how long a node may take to answer.
const pingTimeout = 5 * time.Second

// Ping reports whether the node answers its administrator.
func (n *KafkaNode) Ping() error { return n.ping(0) }

// ping asks behind the back of a proxy, and wants the node to know that many nodes.
func (n *KafkaNode) ping(nodes int) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(n.listen(saslPort)), kgo.DialTimeout(time.Second), kgo.RequestRetries(0),
		kgo.SASL(plain.Auth{User: n.kafka.AdminUser, Pass: n.kafka.AdminPassword}.AsMechanism()))
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), pingTimeout)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // None: without this the answer would hold all.
	answer, err := c.SeedBrokers()[0].Request(ctx, req)
	if err != nil {
		return err
	}
	if res := answer.(*kmsg.MetadataResponse); len(res.Brokers) < nodes { //nolint:forcetypeassert // It answers that request.
		return fmt.Errorf("it knows %d of %d nodes", len(res.Brokers), nodes)
	}
	return nil
}

// Process returns the running node, or nil before its start.
func (n *KafkaNode) Process() *process.Process { return n.proc }

// Stop ends the node the way an operator does: it hands its partitions over, if others run. It is idempotent.
func (n *KafkaNode) Stop() error { return stop(n.proc, javaGrace) }

// Kill ends the node with SIGKILL. It is idempotent.
func (n *KafkaNode) Kill() error {
	if n.proc == nil {
		return nil
	}
	return n.proc.Kill()
}

// Pause freezes the node: it keeps its connections, and answers nothing. It is idempotent.
func (n *KafkaNode) Pause() error { return n.proc.Signal(syscall.SIGSTOP) }

// Resume ends a Pause. It is idempotent.
func (n *KafkaNode) Resume() error { return n.proc.Signal(syscall.SIGCONT) }

// Restart starts the node again on the same ports, with its data, and returns when it answers; it is stopped first if it
// runs. It needs a majority of nodes to run.
func (n *KafkaNode) Restart(ctx context.Context) error {
	if err := n.Stop(); err != nil {
		return err
	}
	return n.start(ctx, 1)
}
