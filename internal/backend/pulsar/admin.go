package pulsar

import (
	"context"
	"errors"
	"net/http"
	"regexp"

	"github.com/apache/pulsar-client-go/pulsaradmin/pkg/rest"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// The admin API, by pulsaradmin's client of it. Its typed calls know neither the properties of a namespace's policies, nor
// permissions on several topics at once, nor the statistics of all partitions, so paths are spelled here.

const api = "/admin/v2/"

// get reads what is at a path of the admin API into out, unless that is nil. query has names and values.
func (b *Backend) get(ctx context.Context, kind, path string, out any, query ...string) error {
	if out == nil { // A connection whose answer was not read is not kept.
		out = new(any)
	}
	b.observe(kind, 1)
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	_, err := b.admin.GetWithQueryParamsWithContext(ctx, api+path, out, pairs(query), true)
	return err
}

func (b *Backend) put(ctx context.Context, kind, path string, in any) error {
	b.observe(kind, 1)
	return b.admin.PutWithContext(ctx, api+path, in)
}

func (b *Backend) post(ctx context.Context, kind, path string, in any, query ...string) error {
	b.observe(kind, 1)
	return b.admin.PostWithQueryParamsWithContext(ctx, api+path, in, pairs(query))
}

func (b *Backend) delete(ctx context.Context, kind, path string, query ...string) error {
	b.observe(kind, 1)
	return b.admin.DeleteWithQueryParamsWithContext(ctx, api+path, pairs(query))
}

func pairs(query []string) map[string]string {
	if len(query) == 0 {
		return nil
	}
	m := map[string]string{}
	for i := 0; i+1 < len(query); i += 2 {
		m[query[i]] = query[i+1]
	}
	return m
}

// createPartitioned creates a partitioned topic. Pulsar does that once, with the properties, for one of several callers;
// for the others it fails; see isConflict.
func (b *Backend) createPartitioned(ctx context.Context, kind, store, local string, partitions int, properties map[string]string) error {
	b.observe(kind, 1)
	in := map[string]any{"partitions": partitions, "properties": properties}
	return b.admin.PutWithCustomMediaTypeWithContext(ctx, api+b.topic(store, local)+"/partitions", in, nil, nil, rest.PartitionedTopicMetaJSON)
}

// deletePartitioned deletes a partitioned topic with what is in it. That it is gone already is no error.
func (b *Backend) deletePartitioned(ctx context.Context, kind, store, local string) error {
	return unlessAbsent(b.delete(ctx, kind, b.topic(store, local)+"/partitions", "force", "true"))
}

// deleteTopic deletes a topic that is not partitioned, or one partition, in the way of deletePartitioned.
func (b *Backend) deleteTopic(ctx context.Context, kind, store, local string) error {
	return unlessAbsent(b.delete(ctx, kind, b.topic(store, local), "force", "true"))
}

// namespace is the path of a store's namespace.
func (b *Backend) namespace(store string) string {
	return "namespaces/" + b.namespaceName(store)
}

// topic is the path of a topic in a store's namespace.
func (b *Backend) topic(store, local string) string {
	return "persistent/" + b.namespaceName(store) + "/" + local
}

// fullName is the name of a topic in a store's namespace, as permissions and clients spell it.
func (b *Backend) fullName(store, local string) string {
	return layout.PulsarTopic(b.config.Tenant, store, local)
}

// absence matches how Pulsar says that something does not exist. A namespace that is deleted, and still has policies for a
// moment, has no topics any more. Its 404 alone could be that of a proxy in between, or of
// a path that an older version does not have.
var absence = regexp.MustCompile(`(?i)^(tenant|namespace|topic|partitioned topic|subscription|schema|policies|message id|the property|bundle)\b.*\b(not found|does(n't| not) exist|not exist|not yet created)|^topic partitions were not yet created|^namespace is deleted`)

// isAbsent reports whether Pulsar answered that a thing does not exist.
func isAbsent(err error) bool {
	answer, ok := errors.AsType[rest.Error](err)
	return ok && answer.Code == http.StatusNotFound && absence.MatchString(answer.Reason)
}

// isConflict reports whether Pulsar answered that a thing exists already.
func isConflict(err error) bool { return hasCode(err, http.StatusConflict) }

func hasCode(err error, code int) bool {
	answer, ok := errors.AsType[rest.Error](err)
	return ok && answer.Code == code
}

// unlessAbsent returns err, unless it says that a thing does not exist.
func unlessAbsent(err error) error {
	if isAbsent(err) {
		return nil
	}
	return err
}

// unlessNoPolicies returns err, unless it says that a topic has no policies of its own, or that none can have any on these
// brokers.
func unlessNoPolicies(err error) error {
	if hasCode(err, http.StatusMethodNotAllowed) {
		return nil
	}
	return unlessAbsent(err)
}

// unlessConflict returns err, unless it says that a thing exists already.
func unlessConflict(err error) error {
	if isConflict(err) {
		return nil
	}
	return err
}

// namespaceName is a store's namespace, as paths and permissions spell it.
func (b *Backend) namespaceName(store string) string {
	return layout.PulsarNamespace(b.config.Tenant, store)
}
