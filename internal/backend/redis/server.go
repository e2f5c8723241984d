package redis

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// settingsAge is how long what a server said of its own settings counts when resources are read. Without it, most of what
// the server is asked while stores are created one by one would be the same question.
const settingsAge = time.Second

// A serverReading is what one trip asks a server about itself; nothing if it said so a moment ago. CONFIG may be forbidden,
// as it is on many managed servers; INFO may not.
type serverReading struct {
	of           *node
	known        server
	info, config *redis.Cmd
	replayed     []*redis.Cmd
}

// serverReadings are those of all servers.
type serverReadings []serverReading

// askServers asks those servers about themselves that did not say it within age.
func (t *trip) askServers(age time.Duration) (all serverReadings) {
	for _, n := range t.topology.servers {
		known, ok := n.said(age)
		if ok {
			all = append(all, serverReading{of: n, known: known})
			continue
		}
		r := serverReading{
			of:     n,
			info:   t.one(n, "INFO", "server", "memory", "persistence", "replication"),
			config: t.one(n, "CONFIG", "GET", "save", "appendfsync"),
		}
		for _, c := range writes() {
			r.replayed = append(r.replayed, t.one(n, append([]any{"ACL", "DRYRUN", "default"}, c...)...))
		}
		all = append(all, r)
	}
	return all
}

// writes are commands that the scripts of the provider and the SDK make. While Redis loads its append-only file, it holds
// those that were made together in a script or transaction against the rights of the user default, even if that user is
// off, and drops them if they are not allowed: after a restart, all appends are gone. Others are not checked.
// Source: redis/redis#14541, fixed late in 2025; valkey-io/valkey#3983.
func writes() [][]any {
	const key = "es:{a:0}:events"
	return [][]any{
		{"XADD", key, "*", "f", "v"}, {"ZADD", key, 1, "m"}, {"HSET", key, "f", "v"}, {"XACK", key, "g", "1-1"}, {"SADD", key, "m"}, {"UNLINK", key}, {"XTRIM", key, "MAXLEN", 1},
	}
}

// A server is what a Redis server says of itself.
type server struct {
	address string
	fields  map[string]string
	config  map[string]string // nil: not known.

	// drops means that loading the append-only file drops what scripts wrote; see writes.
	drops bool
}

// result returns what those servers said that could be reached, and if there are none, why.
func (all serverReadings) result() (some servers, err error) {
	var reason error
	for _, r := range all {
		s, err := r.result()
		switch {
		case err == nil:
			some = append(some, s)
		case len(all) > 1 && outOfReach(err):
			reason = cmpErr(reason, err)
		default:
			return nil, err
		}
	}
	if len(some) == 0 {
		return nil, reason
	}
	return some, nil
}

func (r serverReading) result() (server, error) {
	if r.info == nil {
		return r.known, nil
	}
	text, err := r.info.Text()
	if err != nil {
		return server{}, err
	}
	s := server{address: r.of.address, fields: parseInfo(text)}
	if reply, err := r.config.Result(); err == nil {
		s.config = map[string]string{}
		for k, v := range pairs(reply) {
			s.config[k] = fmt.Sprint(v)
		}
	}
	for _, c := range r.replayed {
		verdict, err := c.Text()
		s.drops = s.drops || err == nil && verdict != "OK" && s.appendOnly()
	}
	r.of.says(s)
	return s, nil
}

// said returns what the server said of itself, if that is not too long ago.
func (n *node) said(age time.Duration) (server, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.self, time.Since(n.selfAt) < age
}

func (n *node) says(s server) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.self, n.selfAt = s, time.Now()
}

// persists reports whether what was acknowledged outlives a restart.
func (s server) persists() bool { return s.appendOnly() && !s.drops }

// parseInfo reads the reply to INFO: lines of "name:value", and comments.
func parseInfo(text string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && !strings.HasPrefix(k, "#") {
			m[k] = v
		}
	}
	return m
}

func (s server) number(field string) int64 {
	n, err := strconv.ParseInt(s.fields[field], 10, 64)
	if err != nil {
		return 0 // Not all servers that speak the protocol have all fields.
	}
	return n
}

func (s server) version() string { return s.fields["redis_version"] }

func (s server) appendOnly() bool { return s.fields["aof_enabled"] == "1" }

// snapshots reports whether the server writes RDB files by itself.
func (s server) snapshots() bool {
	if s.config != nil {
		return s.config["save"] != ""
	}
	return s.number("rdb_saves") > 0
}

// persistence says how the server keeps what it has acknowledged.
func (s server) persistence() string {
	switch fsync := s.config["appendfsync"]; {
	case s.drops:
		return "append-only file, of which a restart drops what scripts wrote"
	case s.appendOnly() && fsync == "always":
		return "append-only file, synchronized with every write"
	case s.appendOnly() && fsync == "everysec":
		return "append-only file, synchronized every second"
	case s.appendOnly() && fsync == "no":
		return "append-only file, synchronized when the operating system does"
	case s.appendOnly():
		return "append-only file"
	case s.snapshots():
		return "snapshots: a crash loses what came after the last one"
	default:
		return "none: a restart loses everything"
	}
}

// hazards are the settings of the server under which no store is created.
func (s server) hazards() (hazards []plan.Hazard) {
	if policy := s.fields["maxmemory_policy"]; strings.HasPrefix(policy, "allkeys-") {
		hazards = append(hazards, plan.Hazard{
			Reason:  plan.ReasonEvictionEnabled,
			Message: fmt.Sprintf("The Redis server would evict events when its memory is full (maxmemory-policy is %s): set maxmemory-policy to noeviction or to volatile-lru on the server", policy),
		})
	}
	if s.drops {
		hazards = append(hazards, plan.Hazard{
			Reason:  plan.ReasonAppendOnlyUnsafe,
			Message: "The Redis server would lose all events at a restart, because its user default may not write, and the append-only file is loaded with that user's rights (redis/redis#14541): let it, and keep it off, with ACL SETUSER default off ~* &* +@all",
		})
	}
	return hazards
}

// warnings are what may hurt soon.
func (s server) warnings() []string {
	var w []string
	if limit := s.number("maxmemory"); limit > 0 && s.number("used_memory")*100 > limit*80 {
		w = append(w, "More than 80 % of maxmemory is used: give the server more memory, or delete data, before it refuses writes")
	}
	if !s.appendOnly() && !s.snapshots() {
		w = append(w, "The server does not persist, so a restart loses everything: set appendonly yes")
	}
	for _, h := range s.hazards() {
		w = append(w, h.Message)
	}
	return w
}

// pairs returns a reply of names and values as a map, whichever version of the protocol it came by.
func pairs(reply any) map[string]any {
	m := map[string]any{}
	switch reply := reply.(type) {
	case map[any]any:
		for k, v := range reply {
			m[fmt.Sprint(k)] = v
		}
	case []any:
		for i := 0; i+1 < len(reply); i += 2 {
			m[fmt.Sprint(reply[i])] = reply[i+1]
		}
	}
	return m
}
