-- Acknowledges entries, if the lease is still ours. KEYS: events, lease, retries.
-- ARGV: token, group, how many entries, their ids, then the fields of retries to forget.
if redis.call('HGET', KEYS[2], 'token') ~= ARGV[1] then return redis.error_reply('STALE lease was taken over') end
local n = tonumber(ARGV[3])
redis.call('XACK', KEYS[1], ARGV[2], unpack(ARGV, 4, 3 + n))
if #ARGV > 3 + n then redis.call('HDEL', KEYS[3], unpack(ARGV, 4 + n)) end
return 1
