package redis

import (
	"crypto/sha1" //nolint:gosec // How Redis names scripts.
	_ "embed"
	"encoding/hex"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A script is one of the Lua scripts in the folder lua.
type script struct{ body, sha string }

func newScript(body string) script {
	sum := sha1.Sum([]byte(body)) //nolint:gosec // See above.
	return script{body: body, sha: hex.EncodeToString(sum[:])}
}

//nolint:gochecknoglobals // Files, in effect: go:embed needs variables.
var (
	//go:embed lua/claim.lua
	claimBody string
	//go:embed lua/set.lua
	setBody string
	//go:embed lua/events.lua
	eventsBody string
	//go:embed lua/create.lua
	createBody string
	//go:embed lua/groups.lua
	groupsBody string
	//go:embed lua/group.lua
	groupBody string
	//go:embed lua/last.lua
	lastBody string
	//go:embed lua/replay.lua
	replayBody string
	//go:embed lua/move.lua
	moveBody string
	//go:embed lua/drop.lua
	dropBody string
	//go:embed lua/doom.lua
	doomBody string
	//go:embed lua/unlink.lua
	unlinkBody string
	//go:embed lua/finish.lua
	finishBody string
	//go:embed lua/lengths.lua
	lengthsBody string
	//go:embed lua/tally.lua
	tallyBody string
	//go:embed lua/leave.lua
	leaveBody string

	claimScript   = newScript(claimBody)
	setScript     = newScript(setBody)
	eventsScript  = newScript(eventsBody)
	createScript  = newScript(createBody)
	groupsScript  = newScript(groupsBody)
	groupScript   = newScript(groupBody)
	lastScript    = newScript(lastBody)
	replayScript  = newScript(replayBody)
	moveScript    = newScript(moveBody)
	dropScript    = newScript(dropBody)
	doomScript    = newScript(doomBody)
	unlinkScript  = newScript(unlinkBody)
	finishScript  = newScript(finishBody)
	lengthsScript = newScript(lengthsBody)
	tallyScript   = newScript(tallyBody)
	leaveScript   = newScript(leaveBody)
)

// scripts are the bodies of all scripts by their digests.
var scripts = func() map[string]string { //nolint:gochecknoglobals // It never changes.
	all := map[string]string{}
	for _, s := range []script{
		claimScript, setScript, eventsScript, createScript, groupsScript, groupScript, lastScript, replayScript, moveScript,
		dropScript, doomScript, unlinkScript, finishScript, lengthsScript, tallyScript, leaveScript,
	} {
		all[s.sha] = s.body
	}
	return all
}()

func isScript(c redis.Cmder) bool { return strings.HasPrefix(c.Name(), "eval") }

// digestOf returns the digest of the script that a command runs by it, if it is one that does.
func digestOf(c redis.Cmder) string {
	if !strings.HasPrefix(c.Name(), "evalsha") {
		return ""
	}
	sha, _ := c.Args()[1].(string)
	return sha
}

// run runs a script on the server that has its keys. A script is brought along and not assumed to be there, because a
// restart, a failover and SCRIPT FLUSH forget it.
func (t *trip) run(s script, keys []string, args ...any) *redis.Cmd {
	if t.brings(s) {
		return t.Eval(t.ctx, s.body, keys, args...)
	}
	return t.EvalSha(t.ctx, s.sha, keys, args...)
}

// look runs a script that writes nothing, in the way of run.
func (t *trip) look(s script, keys []string, args ...any) *redis.Cmd {
	if t.brings(s) {
		return t.EvalRO(t.ctx, s.body, keys, args...)
	}
	return t.EvalShaRO(t.ctx, s.sha, keys, args...)
}

// brings reports whether the only server gets to know a script by this first use of it.
func (t *trip) brings(s script) bool {
	if !t.alone || t.loaded[s.sha] {
		return false
	}
	t.loaded[s.sha] = true
	return true
}
