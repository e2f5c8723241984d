-- Begins a deletion: from now on no other resource can claim the marker. Returns 1; 0 if it belongs to another; 2 if there
-- is none. KEYS: the marker. ARGV: how many fields name its resource (n); n names; n values; the field that says so.
if redis.call('EXISTS', KEYS[1]) == 0 then return 2 end
local n = tonumber(ARGV[1])
for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(ARGV, 2, 1 + n))) do
  if (value or '') ~= ARGV[1 + n + i] then return 0 end
end
redis.call('HSETNX', KEYS[1], ARGV[2 + 2 * n], 'begun')
return 1
