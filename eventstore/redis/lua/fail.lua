-- Notes how often an event failed, if the lease is still ours. A copy that arrives late, when the event failed more often,
-- is a dead letter or is acknowledged, does nothing. KEYS: events, lease, retries.
-- ARGV: token, group, entry, field, deliveries.
if redis.call('HGET', KEYS[2], 'token') ~= ARGV[1] then return redis.error_reply('STALE lease was taken over') end
if #redis.call('XPENDING', KEYS[1], ARGV[2], ARGV[3], ARGV[3], 1) == 0 then return 0 end
local before = tonumber(redis.call('HGET', KEYS[3], ARGV[4]) or 0)
if before < 0 or before >= tonumber(ARGV[5]) then return 0 end
redis.call('HSET', KEYS[3], ARGV[4], ARGV[5])
return 1
