-- Writes a dead letter and notes that it is written, if the lease is still ours; once, as the reply may have been lost.
-- A copy that arrives when the entry is acknowledged already does nothing. KEYS: dead letters, lease, retries, events.
-- ARGV: token, group, entry, field of retries, then fields and values of the letter. Returns whether it is written.
if redis.call('HGET', KEYS[2], 'token') ~= ARGV[1] then return redis.error_reply('STALE lease was taken over') end
if #redis.call('XPENDING', KEYS[4], ARGV[2], ARGV[3], ARGV[3], 1) == 0 then return 0 end
if redis.call('HGET', KEYS[3], ARGV[4]) == '-1' then return 1 end
redis.call('XADD', KEYS[1], '*', unpack(ARGV, 5))
redis.call('HSET', KEYS[3], ARGV[4], -1)
return 1
