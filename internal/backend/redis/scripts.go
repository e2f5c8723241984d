package redis

import (
	"context"
	"crypto/sha1" //nolint:gosec // How Redis names scripts.
	_ "embed"
	"encoding/hex"

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
)

// A batch runs one script several times in a pipeline. The script is loaded before the first run and not assumed to be
// there: a restart, a failover and SCRIPT FLUSH forget it, and loading it costs no round trip of its own.
type batch struct {
	script script
	loaded bool
}

func (s script) batch() *batch { return &batch{script: s} }

func (r *batch) load(ctx context.Context, p redis.Pipeliner) {
	if !r.loaded {
		p.ScriptLoad(ctx, r.script.body)
		r.loaded = true
	}
}

func (r *batch) run(ctx context.Context, p redis.Pipeliner, keys []string, args ...any) *redis.Cmd {
	r.load(ctx, p)
	return p.EvalSha(ctx, r.script.sha, keys, args...)
}

func (r *batch) read(ctx context.Context, p redis.Pipeliner, keys []string, args ...any) *redis.Cmd {
	r.load(ctx, p)
	return p.EvalShaRO(ctx, r.script.sha, keys, args...)
}
