package layout

// RedisStoreACL returns the rules for ACL SETUSER that make a user the principal of a store: what an application needs
// that appends, reads, replays and keeps snapshots, on keys of this store alone. The caller adds "on" and the password.
// The rules begin by taking everything away, so applying them again repairs a user that was changed by hand.
//
//	es:{<store>}:marker          read     layout, partitions and hash, checked when a store is opened
//	es:{<store>:<p>}:events      append   XADD; never XDEL, XTRIM, XSETID or DEL
//	es:{<store>:<p>}:index/…     append   ZADD, within the script that appends
//	es:{<store>:<p>}:snapshot/…  replace  HSET, within the script that saves
//
// On a cluster, clients ask who has a key.
//
// A command inside a script is checked like one outside, so EVAL widens nothing. Redis cannot refuse an option of a
// command: XADD has MAXLEN, so an application that means to can shorten its own store. Opening it then reports that.
func RedisStoreACL(store string) []string {
	p := redisPartitions(store)
	return append(redisNothing(),
		"%R~"+RedisMarker(store), "%RW~"+p+"events", "%RW~"+p+"index/*", "%RW~"+p+"snapshot/*",
		"+hello", "+auth", "+ping", "+time",
		"+xadd", "+xrange", "+xrevrange", "+xread", "+xlen", "+xinfo|stream",
		"+zadd", "+zrange", "+zscore", "+zcard",
		"+hset", "+hget", "+hmget", "+hgetall",
		"+eval", "+evalsha", "+script|load",
		"+cluster|slots", "+cluster|shards", "+cluster|nodes", "+asking",
	)
}

// RedisSubscriptionACL returns the rules for ACL SETUSER that make a user the principal of a subscription, in the way of
// [RedisStoreACL]: it reads the store, and writes nothing but the state of its own subscription.
//
//	es:{<store>}:marker           read
//	es:{<store>:<p>}:events       read, and XREADGROUP, XACK, XPENDING: no XADD
//	es:{<store>:<p>}:index/…      read
//	es:{<store>:<p>}:snapshot/…   read
//	es:{<store>:<p>}:<sub>:dlq      append, read and remove
//	es:{<store>:<p>}:<sub>:lease    read and write
//	es:{<store>:<p>}:<sub>:retries  read and write
//
// A group is an argument and not a key, so Redis cannot keep two groups of one store apart: whoever may XACK for one may
// do so for all. Nobody but the provider may XGROUP: a subscription cannot move its position.
func RedisSubscriptionACL(store, subscription string) []string {
	p := redisPartitions(store)
	events, own := p+"events", p+subscription
	return append(redisNothing(),
		"%R~"+RedisMarker(store), "%RW~"+events, "%R~"+p+"index/*", "%R~"+p+"snapshot/*",
		"+hello", "+auth", "+ping", "+time",
		"+xrange", "+xrevrange", "+xread", "+xlen", "+xinfo|stream", "+xinfo|groups",
		"+xreadgroup", "+xack", "+xpending", "+multi", "+exec", "+unwatch",
		"+zrange", "+zscore", "+zcard",
		"+hget", "+hmget", "+hgetall", "+script|load",
		"+cluster|slots", "+cluster|shards", "+cluster|nodes", "+asking",
		"(%RW~"+own+":dlq +xadd +xdel +xrange +xrevrange +xread +xlen +xinfo|stream)",
		"(%RW~"+own+":lease %RW~"+own+":retries +hset +hget +hmget +hgetall +hdel +hincrby +watch)",
		// EVAL must be allowed for all keys of a script at once, and its commands then one by one by the rules above.
		"(%RW~"+events+" %RW~"+own+":dlq %RW~"+own+":lease %RW~"+own+":retries +eval +evalsha)",
	)
}

// RedisConsumer is the name under which every consumer reads a group. The lease says which process that is now; it takes
// over what its predecessor left pending by reading it, claims nothing, and leaves no dead consumer behind.
const RedisConsumer = "lease"

func redisNothing() []string {
	return []string{"resetkeys", "resetchannels", "clearselectors", "-@all"}
}

// redisPartitions matches what the keys of every partition begin with. The star cannot reach into another store, as no
// name has a colon or a brace, nor into another subscription, as no stream's name has a brace (see docs/layout.md).
func redisPartitions(store string) string { return "es:{" + store + ":*}:" }

// RedisSentinelACL returns the rules for the same users on Sentinels that want a password: what a client needs to find the
// master, and to hear of another one.
func RedisSentinelACL() []string {
	return append(redisNothing(),
		"&*", "+hello", "+auth", "+ping", "+subscribe", "+psubscribe", "+unsubscribe", "+punsubscribe",
		"+sentinel|get-master-addr-by-name", "+sentinel|master", "+sentinel|replicas", "+sentinel|sentinels",
	)
}
