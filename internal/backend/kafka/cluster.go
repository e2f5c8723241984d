package kafka

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A cluster sends requests to brokers.
//
// What can be asked of any broker is asked of one, the home, for as long as it answers: every broker follows the
// controllers' log at its own pace, and two answers of two brokers could go back in time. What was changed is waited for
// there.
type cluster struct {
	client *kgo.Client

	mu    sync.Mutex
	home  int32
	known bool // There is a home.
	nodes int  // As many brokers as there ever were at once: one that restarts still counts.
}

// count notes how many brokers are up.
func (c *cluster) count(brokers int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = max(c.nodes, brokers)
}

// most is how many brokers there are; 0: not known.
func (c *cluster) most() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes
}

// A node is one broker, as [kmsg.Requestor].
type node struct {
	c  *cluster
	id int32
}

func (c *cluster) at(id int32) node { return node{c, id} }

// Request asks the broker, and once more if the connection had been closed meanwhile.
func (n node) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	begin := time.Now()
	resp, err := n.c.client.Broker(int(n.id)).Request(ctx, req)
	if err != nil && ctx.Err() == nil && kgo.IsRetryableBrokerErr(err) && time.Since(begin) < time.Second && req.Key() != int16(kmsg.Produce) {
		resp, err = n.c.client.Broker(int(n.id)).Request(ctx, req)
	}
	return resp, err
}

// anywhere is the home broker, as [kmsg.Requestor].
type anywhere struct{ c *cluster }

func (c *cluster) anywhere() anywhere { return anywhere{c} }

// Request asks the home. If it does not answer, another broker becomes the home.
func (a anywhere) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	id, err := a.c.homeID(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := a.c.at(id).Request(ctx, req)
	if err == nil || ctx.Err() != nil {
		return resp, err
	}
	other, moved := a.c.move(ctx, id)
	if !moved {
		return nil, err
	}
	return a.c.at(other).Request(ctx, req)
}

// homeID returns the home, and chooses one if there is none.
func (c *cluster) homeID(ctx context.Context) (int32, error) {
	c.mu.Lock()
	id, known := c.home, c.known
	c.mu.Unlock()
	if known {
		return id, nil
	}
	ids, err := c.brokers(ctx)
	if err != nil {
		return 0, err
	}
	return c.settle(ids[rand.IntN(len(ids))]), nil
}

// settle makes a broker the home, if nobody was faster.
func (c *cluster) settle(id int32) int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known {
		c.home, c.known = id, true
	}
	return c.home
}

// move chooses another home than one that does not answer. moved is false if there is no other.
func (c *cluster) move(ctx context.Context, from int32) (id int32, moved bool) {
	c.mu.Lock()
	if c.known && c.home == from {
		c.known = false
	}
	c.mu.Unlock()
	ids, err := c.brokers(ctx)
	if err != nil {
		return 0, false
	}
	var others []int32
	for _, id := range ids {
		if id != from {
			others = append(others, id)
		}
	}
	if len(others) == 0 {
		return 0, false
	}
	id = c.settle(others[rand.IntN(len(others))])
	return id, id != from
}

var errNoBrokers = errors.New("the cluster knows of no broker")

// brokers asks any broker that answers for the ids of those that are up. The client learns their addresses by that.
func (c *cluster) brokers(ctx context.Context) (ids []int32, err error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	resp, err := req.RequestWith(ctx, c.client)
	if err != nil {
		return nil, err
	}
	for _, b := range resp.Brokers {
		ids = append(ids, b.NodeID)
	}
	if len(ids) == 0 {
		return nil, errNoBrokers
	}
	return ids, nil
}

// controller sends what only the controllers can do: to any broker where it passes such requests on, as Kafka 4 does, else
// to the controller.
func (c *cluster) controller() kmsg.Requestor { return c.client }

// pause waits, and longer each time: 2 ms at first, 100 ms at last. It fails when ctx has ended.
func pause(ctx context.Context, turn int) error {
	d := min(2*time.Millisecond<<min(turn, 10), 100*time.Millisecond)
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
