package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/kafka"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/pulsar"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/redis"
)

// A reading is what tail and replay have in common.
type reading struct {
	choice

	binding string // A folder with the Secret, instead of a resource that has one.
	stream  string
	output  string
	limit   int
}

func (r *reading) bind(c *cobra.Command) {
	r.choice.bind(c)
	c.Flags().StringVar(&r.binding, "binding", "", "folder with the mounted connection Secret; then no resource is named")
	c.Flags().StringVar(&r.stream, "stream", "", "only events of this stream, as order/42")
	c.Flags().StringVarP(&r.output, "output", "o", "line", "line, or json: an object for each event, with CloudEvents' names")
	c.Flags().IntVar(&r.limit, "limit", 0, "end after so many events; 0: do not")
	c.Args = func(_ *cobra.Command, args []string) error {
		if (r.binding != "") != (len(args) == 0) || len(args) > 2 {
			return errors.New("name whose events to read, as in orders or eventstoreclaim/orders; or use --binding alone")
		}
		if r.output != "line" && r.output != "json" {
			return fmt.Errorf("--output is %q: line or json", r.output)
		}
		return nil
	}
}

const readsOnly = `Nothing is changed, and nobody's position moves. The broker is asked from here, with the connection Secret: you need
the right to read that, and a network that reaches its endpoint.`

func tailCommand(k kubeconfig) *cobra.Command {
	r, since := reading{}, time.Duration(0)
	c := &cobra.Command{
		Use:   "tail NAME | KIND/NAME | KIND NAME",
		Short: "Print a store's new events as they come",
		Long:  "Print a store's new events as they come, until interrupted. " + readsOnly,
		Example: `  esctl tail orders -n shop
  esctl tail orders -n shop --since 10m --stream order/42 -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.run(cmd, k, args, eventstore.Start{Time: time.Now().Add(-since), Live: true})
		},
	}
	c.Flags().DurationVar(&since, "since", 0, "begin with what was appended so long ago")
	r.bind(c)
	return c
}

func replayCommand(k kubeconfig) *cobra.Command {
	r, from := reading{}, ""
	c := &cobra.Command{
		Use:   "replay NAME | KIND/NAME | KIND NAME",
		Short: "Print the events that a store has",
		Long:  "Print the events that a store has, in the order of each partition, and end. " + readsOnly,
		Example: `  esctl replay orders -n shop
  esctl replay orders -n shop --from 2026-11-20T08:00:00Z
  esctl replay orders -n shop --from "3@41 5@7"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			start, err := parseFrom(from, time.Now())
			if err != nil {
				return err
			}
			return r.run(cmd, k, args, start)
		},
	}
	c.Flags().StringVar(&from, "from", "", "a time (RFC 3339), how long ago (2h30m), or positions as they are printed, after which to go on, each in its partition: other partitions begin at the beginning. Default: the beginning")
	r.bind(c)
	return c
}

// parseFrom reads where a replay begins.
func parseFrom(s string, now time.Time) (eventstore.Start, error) {
	if s == "" {
		return eventstore.Start{}, nil
	}
	if ago, err := time.ParseDuration(s); err == nil && ago >= 0 {
		return eventstore.Start{Time: now.Add(-ago)}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return eventstore.Start{Time: t}, nil
	}
	after, err := eventstore.ParseCheckpoint(s)
	if err != nil {
		return eventstore.Start{}, fmt.Errorf("--from is %q: give a time such as 2026-11-20T08:00:00Z, a duration such as 2h, or positions such as 3@41", s)
	}
	return eventstore.Start{After: after}, nil
}

func (r *reading) run(cmd *cobra.Command, k kubeconfig, args []string, start eventstore.Start) error {
	var only eventstore.StreamID
	if r.stream != "" {
		var err error
		if only, err = eventstore.ParseStreamID(r.stream); err != nil {
			return err
		}
	}
	store, err := r.open(cmd.Context(), k, args)
	if err != nil {
		return err
	}
	defer store.Close()
	err = r.print(cmd.OutOrStdout(), store.Replay(cmd.Context(), start), only)
	if cmd.Context().Err() != nil { // Interrupted: that is how tail ends.
		return nil
	}
	return err
}

func (r *reading) open(ctx context.Context, k kubeconfig, args []string) (eventstore.Store, error) {
	if r.binding != "" {
		return eventstore.Open(ctx, os.DirFS(r.binding))
	}
	c, target, err := k.find(args)
	if err != nil {
		return nil, err
	}
	secret, err := connectionSecret(ctx, c, target, r.choice)
	if err != nil {
		return nil, err
	}
	return eventstore.OpenSecret(ctx, secret)
}

func (r *reading) print(w io.Writer, events func(yield func(eventstore.Event, error) bool), only eventstore.StreamID) error {
	n := 0
	for e, err := range events {
		if err != nil {
			return err
		}
		if r.stream != "" && e.Stream != only {
			continue
		}
		write := line
		if r.output == "json" {
			write = object
		}
		if err := write(w, e); err != nil {
			return err
		}
		if n++; n == r.limit {
			return nil
		}
	}
	return nil
}

// line prints an event for people.
func line(w io.Writer, e eventstore.Event) error {
	at := e.Stream.String()
	if e.Version > 0 { // Streaming stores have none.
		at += "@" + strconv.FormatInt(int64(e.Version), 10)
	}
	data := strconv.Quote(string(e.Data))
	if utf8.Valid(e.Data) && json.Valid(e.Data) {
		data = string(e.Data)
	}
	_, err := fmt.Fprintf(w, "%s  %-12s  %s  %s  %s\n", e.Recorded.UTC().Format("2006-01-02T15:04:05.000Z"), e.Position, at, e.Type, data)
	return err
}

// object prints an event for programs: under CloudEvents' names, as docs/layout.md has them, with where it is.
func object(w io.Writer, e eventstore.Event) error {
	o := map[string]any{
		"id": e.ID, "type": e.Type, "subject": e.Stream.String(), "time": e.Time.UTC().Format(time.RFC3339Nano), "datacontenttype": e.ContentType,
		"position": e.Position.String(), "recorded": e.Recorded.UTC().Format(time.RFC3339Nano),
	}
	for name, value := range e.Metadata {
		o[name] = value
	}
	for name, value := range map[string]string{"correlationid": e.CorrelationID, "causationid": e.CausationID} {
		if value != "" {
			o[name] = value
		}
	}
	if e.Version > 0 {
		o["version"] = e.Version
	}
	switch {
	case len(e.Data) == 0:
	case json.Valid(e.Data):
		o["data"] = json.RawMessage(e.Data)
	default:
		o["data_base64"] = e.Data
	}
	return json.NewEncoder(w).Encode(o)
}
