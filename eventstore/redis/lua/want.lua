-- Asks whoever holds a lease to give it to us. KEYS: lease. ARGV: consumer, for how many ms.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local l = redis.call('HMGET', KEYS[1], 'wanted', 'wanted-until')
if l[1] and l[1] ~= ARGV[1] and tonumber(l[2] or 0) > now then return 0 end
redis.call('HSET', KEYS[1], 'wanted', ARGV[1], 'wanted-until', now + ARGV[2])
return 1
