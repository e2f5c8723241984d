package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// shareFor is for how long what stores were read by may serve subscriptions that are read next.
const shareFor = time.Second

// A config is a topic's configuration.
type config map[string]configValue

type configValue struct {
	value string
	own   bool // Set on the topic itself: it is no default.
}

// A look is what the home shows of topics and of who may do what. It is not changed after it was taken.
type look struct {
	topics  map[string]topicView
	configs map[string]config // Of topics that exist.
	denied  map[string]error  // Why nothing is known of a topic's configuration.
	access  *access
	wanted  map[string]struct{} // Topics and users that were looked at, whether or not they exist.
}

// covers reports whether the look was taken at all of these.
func (l *look) covers(topics []string, of interest) bool {
	for _, names := range [][]string{topics, of.users, of.topics} {
		for _, n := range names {
			if _, ok := l.wanted[n]; !ok {
				return false
			}
		}
	}
	return true
}

// shared is the last look that stores were read by. The mirror refreshes stores and then subscriptions: the second looks
// at the same, and need not ask again. It is used once, and only if nothing was written meanwhile.
type shared struct {
	lifetime time.Duration // Default: shareFor.

	mu     sync.Mutex
	look   *look
	begun  time.Time
	writes int // Counts writes that began or ended.
}

// wrote makes the next look a new one. It is called before and after a write.
func (s *shared) wrote() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	s.look = nil
}

func (s *shared) take() *look {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.look
	s.look = nil
	if time.Since(s.begun) > cmp.Or(s.lifetime, shareFor) {
		return nil
	}
	return l
}

func (s *shared) now() (writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

func (s *shared) keep(l *look, begun time.Time, writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writes == writes {
		s.look, s.begun = l, begun
	}
}

// look asks for topics, their configurations, and who may do what, at the same time.
func (b *Backend) look(ctx context.Context, topics []string, of interest) (*look, error) {
	l := &look{wanted: map[string]struct{}{}}
	for _, names := range [][]string{topics, of.users, of.topics} {
		for _, n := range names {
			l.wanted[n] = struct{}{}
		}
	}
	var wg sync.WaitGroup
	var errs [3]error
	wg.Go(func() { l.topics, errs[0] = b.cluster.metadata(ctx, topics) })
	wg.Go(func() { l.configs, l.denied, errs[1] = b.configs(ctx, topics) })
	wg.Go(func() { l.access, errs[2] = b.access(ctx, of) })
	wg.Wait()
	return l, first(errs[:]...)
}

// denies says why nothing is known of a topic, or returns nil. Kafka tells nobody without a right to it whether it exists.
func (l *look) denies(topic string) error {
	if err := first(l.topics[topic].err, l.denied[topic]); err != nil {
		return fmt.Errorf("topic %q: %w", topic, err)
	}
	return nil
}

// configs returns the configurations of those topics that exist, and of the others that may, why nothing is known. What the
// broker itself is configured with is asked for along the way.
func (b *Backend) configs(ctx context.Context, topics []string) (configs map[string]config, denied map[string]error, err error) {
	home, err := b.cluster.homeID(ctx)
	if err != nil {
		return nil, nil, err
	}
	configs, denied = make(map[string]config, len(topics)), map[string]error{}
	for some := range slices.Chunk(topics, topicsPerRequest) {
		req := kmsg.NewPtrDescribeConfigsRequest()
		for _, t := range some {
			r := kmsg.NewDescribeConfigsRequestResource()
			r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, t
			req.Resources = append(req.Resources, r)
		}
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(home)), limitNames()
		req.Resources = append(req.Resources, r)
		resp, err := req.RequestWith(ctx, b.cluster.anywhere())
		if err != nil {
			return nil, nil, err
		}
		b.readConfigs(resp, configs, denied)
	}
	return configs, denied, nil
}

func (b *Backend) readConfigs(resp *kmsg.DescribeConfigsResponse, into map[string]config, denied map[string]error) {
	for _, r := range resp.Resources {
		err := answer(r.ErrorCode, r.ErrorMessage)
		if r.ResourceType == kmsg.ConfigResourceTypeBroker {
			if err == nil { // Without the right to it nothing is known beforehand, and the broker refuses itself.
				b.limits.learn(r.Configs)
			}
			continue
		}
		switch {
		case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.InvalidTopicException):
			continue
		case err != nil:
			denied[r.ResourceName] = err
			continue
		}
		c := make(config, len(r.Configs))
		for _, v := range r.Configs {
			if v.Value != nil {
				c[v.Name] = configValue{value: *v.Value, own: v.Source == kmsg.ConfigSourceDynamicTopicConfig}
			}
		}
		into[r.ResourceName] = c
	}
}
