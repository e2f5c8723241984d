package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
)

// Brokers, and the names of their components, as in logs and pidfiles.
const (
	Redis  = "redis"
	Kafka  = "kafka"
	Pulsar = "pulsar"
)

// allBrokers in the order in which they are started and shown.
var allBrokers = []string{Redis, Kafka, Pulsar}

// Further ports, by the name of their component.
const (
	redisTLS    = "redis-tls"
	kafkaTLS    = "kafka-tls"
	kafkaMTLS   = "kafka-mtls"
	pulsarHTTP  = "pulsar-http"
	pulsarTLS   = "pulsar-tls"
	pulsarHTTPS = "pulsar-https"
)

var (
	kafkaPorts  = []string{Kafka, kafkaTLS, kafkaMTLS}                 // As in broker.KafkaOptions.
	pulsarPorts = []string{Pulsar, pulsarHTTP, pulsarTLS, pulsarHTTPS} // As in broker.PulsarOptions.
)

// ParseBrokers reads a list such as "redis,kafka".
func ParseBrokers(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// known says which of the brokers does not exist.
func known(brokers []string) error {
	for _, b := range brokers {
		if !slices.Contains(allBrokers, b) {
			return fmt.Errorf("cannot start broker %q: it is none of %s", b, strings.Join(allBrokers, ", "))
		}
	}
	return nil
}

// brokersFile names the brokers that belong to a state folder, while it is up.
const brokersFile = "brokers"

func recordBrokers(f *state.Folder, brokers []string) error {
	if err := os.WriteFile(f.Path(brokersFile), []byte(strings.Join(brokers, ",")), 0o600); err != nil {
		return fmt.Errorf("cannot record brokers: %w", err)
	}
	return nil
}

// Brokers returns the brokers that were started in the state folder: none after Down.
func Brokers(f *state.Folder) ([]string, error) {
	b, err := os.ReadFile(f.Path(brokersFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cannot read brokers: %w", err)
	}
	return ParseBrokers(string(b)), nil
}

// startBrokers adds to g the start of those that were asked for.
func (s *Stack) startBrokers(ctx context.Context, g *errgroup.Group, o Options) {
	if slices.Contains(o.Brokers, Redis) {
		g.Go(func() (err error) {
			s.Redis, err = startRedis(ctx, o.State)
			return err
		})
	}
	if slices.Contains(o.Brokers, Kafka) {
		g.Go(func() (err error) {
			k := kafkaOptions(o.State)
			k.Progress = o.Progress
			if k.Ports, err = ports(o.State, kafkaPorts); err != nil {
				return err
			}
			s.Kafka, err = broker.StartKafka(ctx, k)
			return err
		})
	}
	if slices.Contains(o.Brokers, Pulsar) {
		g.Go(func() (err error) {
			p := pulsarOptions(o.State)
			p.Progress = o.Progress
			if p.Ports, err = ports(o.State, pulsarPorts); err != nil {
				return err
			}
			s.Pulsar, err = broker.StartPulsar(ctx, p)
			return err
		})
	}
}

// attachBrokers finds those that run.
func (s *Stack) attachBrokers(f *state.Folder) {
	redis, kafka, pulsar := redisOptions(f), kafkaOptions(f), pulsarOptions(f)
	redis.Port, redis.TLSPort = f.KnownPort(Redis), f.KnownPort(redisTLS)
	if r, err := broker.AttachRedis(redis); err == nil {
		s.Redis = r
	}
	kafka.Ports = knownPorts(f, kafkaPorts)
	if k, err := broker.AttachKafka(kafka); err == nil {
		s.Kafka = k
	}
	pulsar.Ports = knownPorts(f, pulsarPorts)
	if p, err := broker.AttachPulsar(pulsar); err == nil {
		s.Pulsar = p
	}
}

func (s *Stack) stopBrokers() error {
	var errs []error
	if s.Redis != nil {
		errs = append(errs, s.Redis.Stop())
	}
	if s.Kafka != nil {
		errs = append(errs, s.Kafka.Stop())
	}
	if s.Pulsar != nil {
		errs = append(errs, s.Pulsar.Stop())
	}
	return errors.Join(errs...)
}

func startRedis(ctx context.Context, f *state.Folder) (*broker.Redis, error) {
	o := redisOptions(f)
	p, err := ports(f, []string{Redis, redisTLS})
	if err != nil {
		return nil, err
	}
	o.Port, o.TLSPort = p[0], p[1]
	return broker.StartRedis(ctx, o)
}

func redisOptions(f *state.Folder) broker.RedisOptions {
	return broker.RedisOptions{
		Dir: f.Path(Redis), LogFile: f.LogFile(Redis), PIDFile: f.PIDFile(Redis), Mark: f.Path(), Detached: f.Detached,
		TLS: true, AppendOnly: true, ACLFile: true,
	}
}

func kafkaOptions(f *state.Folder) broker.KafkaOptions {
	return broker.KafkaOptions{
		Heap: "2g", // For the twelve thousand partitions of a thousand stores.
		Dir:  f.Path(Kafka), LogFile: f.LogFile(Kafka), PIDFile: f.PIDFile(Kafka), Mark: f.Path(), Detached: f.Detached,
	}
}

func pulsarOptions(f *state.Folder) broker.PulsarOptions {
	return broker.PulsarOptions{
		Heap: "1g",
		Dir:  f.Path(Pulsar), LogFile: f.LogFile(Pulsar), PIDFile: f.PIDFile(Pulsar), Mark: f.Path(), Detached: f.Detached,
	}
}

func ports(f *state.Folder, names []string) ([]int, error) {
	out := make([]int, len(names))
	for i, name := range names {
		var err error
		if out[i], err = f.Port(name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func knownPorts(f *state.Folder, names []string) []int {
	out := make([]int, len(names))
	for i, name := range names {
		out[i] = f.KnownPort(name)
	}
	return out
}
