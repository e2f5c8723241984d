package kafka

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// Configuration keys of topics.
const (
	keyRetention      = "retention.ms"
	keyRetainedBytes  = "retention.bytes"
	keyMaxMessage     = "max.message.bytes"
	keyCleanup        = "cleanup.policy"
	keyTimestamp      = "message.timestamp.type"
	keyUnclean        = "unclean.leader.election.enable"
	keyMinInSync      = "min.insync.replicas"
	keyRemote         = "remote.storage.enable"
	keyLocalRetention = "local.retention.ms"
	keyLocalBytes     = "local.retention.bytes"
	keyRemoteDelete   = "remote.log.delete.on.disable" // Without tiering what was moved is deleted, too.
)

// safeElection is the value of keyUnclean under which a replica that lacks events never becomes the leader.
const safeElection = "false"

// Names of settings beside the keys of the events topic's configuration, which stand for themselves.
const (
	snapshotsPrefix   = "snapshots/"
	deadLettersPrefix = "dead-letters/"
	quotaPrefix       = "quota/"
	keyByteRate       = "producer_byte_rate"
)

// recordOverhead is what a batch of one record has on Kafka beside the names and values that maxEventBytes counts: its
// header, the key, and the lengths of everything.
const recordOverhead = 2 << 10

// deadLetterBytes is what a topic of dead letters takes: an event of any store, and why it was given up.
const deadLetterBytes = 100 << 20

// StoreSettings returns what a store asks for beside the fields that plan knows: configuration keys of the events topic by
// their names, those of the snapshots topic with the prefix "snapshots/", and "quota/producer_byte_rate".
func (b *Backend) StoreSettings(d plan.DesiredStore) (plan.Settings, []plan.Refusal) {
	s := plan.Settings{}
	for k, v := range d.Native {
		s[k] = canonical(v)
	}
	refusals := refuseOwned(d)
	for k, v := range eventsSettings(d) {
		s[k] = v
	}
	if d.Snapshots {
		for k, v := range snapshotsSettings(d) {
			s[snapshotsPrefix+k] = v
		}
	}
	if slices.Contains(d.Unmanaged, keyUnclean) {
		delete(s, keyUnclean)
		delete(s, snapshotsPrefix+keyUnclean)
	}
	if b.config.Provided {
		refusals = append(refusals, refuseQuota(d)...)
	} else {
		s[quotaPrefix+keyByteRate] = quota(d)
	}
	if b.withoutSASL() {
		refusals = append(refusals, plan.Refusal{Reason: plan.ReasonUnsupported, Field: plan.FieldPrincipal, Message: "No user can be made: " + errNoSASL.Error()})
	}
	return s, append(refusals, b.refuseLimits(d)...)
}

func eventsSettings(d plan.DesiredStore) plan.Settings {
	s := plan.Settings{
		keyCleanup: "delete", keyTimestamp: "LogAppendTime", keyUnclean: safeElection, keyMinInSync: "",
		keyRemote: "", keyLocalRetention: "", keyLocalBytes: "", keyRemoteDelete: "",
	}
	if d.MinInSync > 0 {
		s[keyMinInSync] = strconv.Itoa(d.MinInSync)
	}
	if d.Tiering != (plan.Tiering{}) {
		s[keyRemote] = "true"
	}
	if d.Tiering.After > 0 {
		s[keyLocalRetention] = strconv.FormatInt(milliseconds(d.Tiering.After), 10)
	}
	if d.Tiering.AfterBytes > 0 {
		s[keyLocalBytes] = strconv.FormatInt(share(d.Tiering.AfterBytes, d.PartitionsToCreate()), 10)
	}
	return s
}

func snapshotsSettings(d plan.DesiredStore) plan.Settings {
	s := plan.Settings{keyCleanup: "compact", keyUnclean: safeElection, keyMinInSync: ""}
	if d.MinInSync > 0 {
		s[keyMinInSync] = strconv.Itoa(d.MinInSync)
	}
	return s
}

// owned says which field of the spec a configuration key belongs to.
func owned() map[string]string {
	return map[string]string{
		keyRetention: "retention", keyRetainedBytes: "retention", keyMaxMessage: "maxEventBytes", keyMinInSync: "durability.minInSync",
		keyRemote: "tiering", keyLocalRetention: "tiering", keyLocalBytes: "tiering",
		keyCleanup: "", keyTimestamp: "", keyUnclean: "", keyRemoteDelete: "",
	}
}

// refuseOwned refuses keys that other fields set, or that must not be other than they are.
func refuseOwned(d plan.DesiredStore) (refusals []plan.Refusal) {
	refuse := func(field plan.Field, key string) {
		belongs, ok := owned()[key]
		if !ok {
			return
		}
		m := fmt.Sprintf("%s cannot have %s, because it belongs to %s: remove it", field, key, belongs)
		if belongs == "" {
			m = fmt.Sprintf("%s cannot have %s, because other values lose or reorder events: remove it", field, key)
		}
		refusals = append(refusals, plan.Refusal{Reason: plan.ReasonUnsupported, Field: field, Message: m})
	}
	keys := make([]string, 0, len(d.Native))
	for k := range d.Native {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		refuse(plan.FieldKafkaConfig, k)
	}
	for _, k := range d.Unmanaged {
		if k != keyUnclean { // Some services decide on elections themselves, and let nobody say anything of them.
			refuse(plan.FieldKafkaUnmanaged, k)
		}
	}
	return refusals
}

// quota is how fast the store's user may write; empty: as fast as it can.
func quota(d plan.DesiredStore) string {
	if d.Quota.BytesPerSecond == 0 {
		return ""
	}
	return strconv.FormatInt(d.Quota.BytesPerSecond, 10)
}

// refuseQuota refuses a quota for a user that is not ours. It would hold for all that the user does in the cluster, and be
// another's who shares the user, or an administrator's, to change back.
func refuseQuota(d plan.DesiredStore) []plan.Refusal {
	if d.Quota.BytesPerSecond == 0 {
		return nil
	}
	return []plan.Refusal{{
		Reason: plan.ReasonUnsupported, Field: plan.FieldQuotaByteRate,
		Message: "quota.publishRate would slow down everything that the store's user does in the cluster, and with principals: Provided that user is not the provider's: remove it, and have whoever made the user set its quota",
	}}
}

// refuseLimits refuses what the cluster is known not to take.
func (b *Backend) refuseLimits(d plan.DesiredStore) (refusals []plan.Refusal) {
	_, noRemoteStorage := b.limits.get()
	brokers := b.cluster.most()
	refuse := func(field plan.Field, format string, args ...any) {
		refusals = append(refusals, plan.Refusal{Reason: plan.ReasonBrokerLimit, Field: field, Message: fmt.Sprintf(format, args...)})
	}
	if d.Replicas > 0 && d.MinInSync > d.Replicas {
		refuse(plan.FieldMinInSync, "durability.minInSync is %d, and there are only %d copies: lower it, or raise durability.replicas", d.MinInSync, d.Replicas)
	}
	if brokers > 0 && d.Replicas > brokers {
		refuse(plan.FieldReplicas, "durability.replicas is %d, and the cluster has %d brokers: lower it, or add brokers", d.Replicas, brokers)
	}
	if noRemoteStorage && d.Tiering != (plan.Tiering{}) {
		refuse(plan.FieldTieringDuration, "tiering needs remote storage, and the brokers have none (%s is false): configure it, or remove tiering", brokerRemoteStorage)
	}
	return refusals
}

// SubscriptionSettings returns the configuration of the topic of dead letters, with the prefix "dead-letters/". A
// subscription that is to have none asks for nothing: a topic that is there may hold some, and stays until the
// subscription is deleted.
func (b *Backend) SubscriptionSettings(d plan.DesiredSubscription) plan.Settings {
	if !d.DeadLetter {
		return nil
	}
	s := plan.Settings{}
	for k, v := range deadLettersSettings() {
		s[deadLettersPrefix+k] = v
	}
	return s
}

func deadLettersSettings() plan.Settings {
	return plan.Settings{keyCleanup: "delete", keyUnclean: safeElection, keyMaxMessage: strconv.Itoa(deadLetterBytes)}
}

// milliseconds returns a duration as Kafka wants it: at least as long as it is.
func milliseconds(d time.Duration) int64 {
	return int64(d/time.Millisecond) + min(int64(d%time.Millisecond), 1)
}

// share returns what each partition may have of a number of bytes: together at least that.
func share(bytes int64, partitions int) int64 {
	n := int64(max(partitions, 1))
	return bytes/n + min(bytes%n, 1)
}

// retentionConfig is a retention in a topic's terms. Nothing of it is left to the broker's default.
func retentionConfig(r plan.Retention, partitions int) map[string]string {
	c := map[string]string{keyRetention: "-1", keyRetainedBytes: "-1"}
	if r.Duration > 0 {
		c[keyRetention] = strconv.FormatInt(milliseconds(r.Duration), 10)
	}
	if r.Bytes > 0 {
		c[keyRetainedBytes] = strconv.FormatInt(share(r.Bytes, partitions), 10)
	}
	return c
}

// maxMessage is maxEventBytes in a topic's terms.
func maxMessage(eventBytes int64) string {
	return strconv.FormatInt(min(eventBytes+recordOverhead, math.MaxInt32), 10)
}

// retention returns what a topic keeps. Where it says the same as was asked for, that is returned to the nanosecond and
// to the byte.
func (c config) retention(asked plan.Retention, partitions int) plan.Retention {
	var r plan.Retention
	if ms := c.number(keyRetention); ms <= math.MaxInt64/int64(time.Millisecond) { // A time that no duration can hold is for ever.
		r.Duration = time.Duration(ms) * time.Millisecond
	}
	if bytes := c.number(keyRetainedBytes); bytes <= math.MaxInt64/int64(maxPartitions) {
		r.Bytes = bytes * int64(partitions)
	}
	is := retentionConfig(asked, partitions)
	if c[keyRetention].value == is[keyRetention] {
		r.Duration = asked.Duration
	}
	if c[keyRetainedBytes].value == is[keyRetainedBytes] {
		r.Bytes = asked.Bytes
	}
	return r
}

// maxEventBytes returns the limit that is set on the topic; 0: there is none but the broker's.
func (c config) maxEventBytes(asked int64) int64 {
	switch v := c[keyMaxMessage]; {
	case !v.own:
		return 0
	case asked > 0 && v.value == maxMessage(asked):
		return asked
	}
	return max(c.number(keyMaxMessage)-recordOverhead, 1)
}

// number returns a value that has no limit as 0.
func (c config) number(key string) int64 {
	n, err := strconv.ParseInt(c[key].value, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// settings returns what is set on the topic itself, each name with a prefix, but for what plan knows by a field. That no event
// is lost by an election counts also where it is the brokers' own rule: some let nobody set it.
func (c config) settings(prefix string, into plan.Settings, except ...string) {
	for k, v := range c {
		if (v.own || k == keyUnclean && v.value == safeElection) && !slices.Contains(except, k) {
			into[prefix+k] = canonical(v.value)
		}
	}
}

// cutSetting splits the name of a setting: what it is about, and the key there.
func cutSetting(name string) (prefix, key string) {
	for _, p := range []string{snapshotsPrefix, deadLettersPrefix, quotaPrefix} {
		if k, ok := strings.CutPrefix(name, p); ok {
			return p, k
		}
	}
	return "", name
}
