-- Gives a lease back. KEYS: lease. ARGV: token. The token stays, so that it can only grow.
if redis.call('HGET', KEYS[1], 'token') == ARGV[1] then redis.call('HSET', KEYS[1], 'until', 0) end
return 1
