package redis

import (
	"embed"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed lua
var luaFiles embed.FS

var (
	appendScript  = script("append")
	saveScript    = script("save")
	takeScript    = script("take")
	keepScript    = script("keep")
	releaseScript = script("release")
	wantScript    = script("want")
	fetchScript   = script("fetch")
	ackScript     = script("ack")
	deadScript    = script("dead")
	failScript    = script("fail")
	renewScript   = script("renew")
)

func script(name string) *redis.Script {
	b, err := luaFiles.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // The files are part of the program.
	}
	return redis.NewScript(string(b))
}

// errStale is what scripts reply if another consumer has the lease.
var errStale = errors.New("STALE lease was taken over")

// isStale reports whether another consumer has the lease.
func isStale(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "STALE") }

// isNoGroup reports whether the group, or the events with all their groups, are gone.
func isNoGroup(err error) bool { return err != nil && strings.Contains(err.Error(), "NOGROUP") }

// isNoKey reports whether a stream is not there. [redis.HasErrorPrefix] does not see the ERR that it begins with.
func isNoKey(err error) bool { return err != nil && strings.Contains(err.Error(), "no such key") }

// isForbidden reports whether our user has no right to a command, or to one of a transaction.
func isForbidden(err error) bool {
	return err != nil && (redis.HasErrorPrefix(err, "NOPERM") || redis.HasErrorPrefix(err, "EXECABORT"))
}
