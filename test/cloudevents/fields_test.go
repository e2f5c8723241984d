package cloudevents_test

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/binding/spec"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
)

// prefix is what attributes have in Kafka's protocol binding, and in ours on every backend.
const prefix = "ce_"

var versions = spec.WithPrefix(prefix)

// fields is a record as it lies on the broker. The official SDK reads it as a message in binary mode, and writes one.
type fields map[string]string

var (
	_ binding.Message      = fields{}
	_ binding.BinaryWriter = fields{}
)

func (f fields) ReadEncoding() binding.Encoding {
	if f["content-type"] == event.ApplicationCloudEventsBatchJSON {
		return binding.EncodingBatch
	}
	return binding.EncodingBinary
}

func (f fields) ReadStructured(context.Context, binding.StructuredWriter) error {
	return binding.ErrNotStructured
}

func (f fields) ReadBinary(_ context.Context, w binding.BinaryWriter) error {
	version := versions.Version(f[versions.PrefixedSpecVersionName()])
	if version == nil {
		return binding.ErrNotBinary
	}
	for name, value := range f {
		var err error
		extension, isAttribute := strings.CutPrefix(name, prefix)
		switch attribute := version.Attribute(name); {
		case name == "content-type":
			err = w.SetAttribute(version.AttributeFromKind(spec.DataContentType), value)
		case attribute != nil:
			err = w.SetAttribute(attribute, value)
		case isAttribute:
			err = w.SetExtension(extension, value)
		}
		if err != nil {
			return err
		}
	}
	return w.SetData(bytes.NewBufferString(f["data"]))
}

func (f fields) GetAttribute(kind spec.Kind) (spec.Attribute, any) {
	attribute := versions.Latest().AttributeFromKind(kind)
	return attribute, f[attribute.PrefixedName()]
}

func (f fields) GetExtension(name string) any { return f[prefix+name] }
func (f fields) Finish(error) error           { return nil }
func (f fields) Start(context.Context) error  { return nil }
func (f fields) End(context.Context) error    { return nil }

func (f fields) SetAttribute(attribute spec.Attribute, value any) error {
	text, err := types.Format(value)
	if err != nil || text == "" {
		return err
	}
	if attribute.Kind() == spec.DataContentType {
		f["content-type"] = text
	} else {
		f[prefix+attribute.Name()] = text
	}
	return nil
}

func (f fields) SetExtension(name string, value any) (err error) {
	f[prefix+name], err = types.Format(value)
	return err
}

func (f fields) SetData(data io.Reader) error {
	b, err := io.ReadAll(data)
	f["data"] = string(b)
	return err
}
