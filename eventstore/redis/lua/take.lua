-- Takes a lease that nobody holds, or finds that it did so before. KEYS: lease.
-- ARGV: consumer, time to live in ms, the last token that the consumer got.
-- Returns the token, or 0 and who holds the lease or waits for it.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local l = redis.call('HMGET', KEYS[1], 'consumer', 'token', 'until', 'wanted', 'wanted-until')
local token = tonumber(l[2] or 0)
if l[1] and tonumber(l[3] or 0) > now then
  if l[1] ~= ARGV[1] or token <= tonumber(ARGV[3]) then return {0, l[1], 'held'} end
  redis.call('HSET', KEYS[1], 'until', now + ARGV[2])
  return {token, ARGV[1], 'held'}
end
if l[4] and l[4] ~= ARGV[1] and tonumber(l[5] or 0) > now then return {0, l[4], 'wanted'} end
redis.call('HSET', KEYS[1], 'consumer', ARGV[1], 'token', token + 1, 'until', now + ARGV[2])
redis.call('HDEL', KEYS[1], 'wanted', 'wanted-until', 'fetched', 'fetched-after')
return {token + 1, ARGV[1], 'held'}
