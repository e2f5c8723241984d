package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

func encodeBatch(source string, stream eventstore.StreamID, events []eventstore.EventData) (Fields, error) {
	if len(events) == 0 {
		return nil, errors.New("cannot encode an append of no events")
	}
	batch := make([]map[string]any, len(events))
	for i, e := range events {
		batch[i] = encodeJSON(source, stream, e)
	}
	data, err := marshal(batch)
	if err != nil {
		return nil, fmt.Errorf("cannot encode batch: %w", err)
	}
	return Fields{
		{SpecVersion, specVersion},
		{ID, events[0].ID},
		{Source, source},
		{Subject, stream.String()},
		{Count, strconv.Itoa(len(events))},
		{ContentType, BatchContentType},
		{Data, string(data)},
	}, nil
}

// encodeJSON is a CloudEvent in JSON format. Source: CloudEvents 1.0.2, JSON event format, section 3.
func encodeJSON(source string, stream eventstore.StreamID, e eventstore.EventData) map[string]any {
	out := map[string]any{}
	for name, value := range e.Metadata {
		out[name] = value
	}
	maps.Copy(out, map[string]any{
		"specversion": specVersion, "id": e.ID, "source": source, "type": e.Type, "subject": stream.String(),
		"time": e.Time.Format(time.RFC3339Nano), "datacontenttype": e.ContentType,
	})
	if e.CorrelationID != "" {
		out["correlationid"] = e.CorrelationID
	}
	if e.CausationID != "" {
		out["causationid"] = e.CausationID
	}
	data, _ := e.Data.([]byte)
	switch {
	case len(data) == 0:
	case isJSON(e.ContentType) && survives(data):
		out["data"] = json.RawMessage(data)
	default:
		out["data_base64"] = data
	}
	return out
}

// survives reports whether data inside a JSON document comes out as the same bytes.
func survives(data []byte) bool {
	if !json.Valid(data) {
		return false
	}
	out, err := marshal(json.RawMessage(data))
	return err == nil && bytes.Equal(out, data)
}

// marshal is json.Marshal that leaves <, > and & as they are.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

func isJSON(contentType string) bool {
	typ, _, err := mime.ParseMediaType(contentType)
	return err == nil && (typ == "application/json" || strings.HasSuffix(typ, "+json"))
}

func (v *Envelope) appendBatch(events []eventstore.Event) ([]eventstore.Event, error) {
	var batch []map[string]json.RawMessage
	if err := json.Unmarshal(v.Data, &batch); err != nil {
		return events, fmt.Errorf("batch is not valid JSON: %w", err)
	}
	if int64(len(batch)) != v.Count {
		return events, fmt.Errorf("batch has %d events, its envelope says %d", len(batch), v.Count)
	}
	for i, attributes := range batch {
		e, err := decodeJSON(attributes, v.Stream)
		if err != nil {
			return events, err
		}
		if i == 0 && e.ID != v.ID {
			return events, errors.New("batch begins with another id than its envelope says")
		}
		events = append(events, e)
	}
	return events, nil
}

func decodeJSON(attributes map[string]json.RawMessage, subject string) (e eventstore.Event, err error) {
	text := make(map[string]string, len(attributes))
	for name, raw := range attributes {
		if name == "data" || name == "data_base64" || string(raw) == "null" { // The format makes null an absent attribute.
			continue
		}
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			s = string(raw) // Integers and booleans are attributes too.
		}
		text[name] = s
		if !slices.Contains(known, name) {
			if e.Metadata == nil {
				e.Metadata = map[string]string{}
			}
			e.Metadata[name] = s
		}
	}
	e.ID, e.Type, e.ContentType = text["id"], text["type"], text["datacontenttype"]
	e.CorrelationID, e.CausationID = text["correlationid"], text["causationid"]
	if err := finish(&e, text["specversion"], text["time"]); err != nil {
		return e, err
	}
	if s := text["subject"]; s != subject {
		return e, fmt.Errorf("event %.60q is of %.60q, its envelope of %.60q", e.ID, s, subject)
	}
	e.Data, err = decodeData(attributes, e.ContentType)
	return e, err
}

func decodeData(attributes map[string]json.RawMessage, contentType string) ([]byte, error) {
	if raw, ok := attributes["data_base64"]; ok {
		var data []byte
		if err := json.Unmarshal(raw, &data); err != nil {
			return nil, fmt.Errorf("data_base64 is not base64: %w", err)
		}
		return data, nil
	}
	raw := attributes["data"]
	if !isJSON(contentType) && len(raw) > 0 {
		var s string
		if err := json.Unmarshal(raw, &s); err == nil { // Text that is not JSON is a JSON string.
			return []byte(s), nil
		}
	}
	return raw, nil
}
