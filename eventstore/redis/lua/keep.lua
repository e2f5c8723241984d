-- Renews a lease, unless it was given back: then this is a copy that arrives late. KEYS: lease.
-- ARGV: token, time to live in ms. Returns whether it is still ours, and which other consumer waits for it.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local l = redis.call('HMGET', KEYS[1], 'token', 'wanted', 'wanted-until', 'until')
if l[1] ~= ARGV[1] or l[4] == '0' then return {0, ''} end
redis.call('HSET', KEYS[1], 'until', now + ARGV[2])
if l[2] and tonumber(l[3] or 0) > now then return {1, l[2]} end
return {1, ''}
