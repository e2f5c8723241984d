-- Destroys keys of a store, if its deletion was not called off. Returns 1, or 0 if it was.
-- KEYS: the marker, then what is to go: nothing on a cluster, where that is in other slots. ARGV: as for doom.lua.
local n = tonumber(ARGV[1])
for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(ARGV, 2, 1 + n))) do
  if (value or '') ~= ARGV[1 + n + i] then return 0 end
end
if redis.call('HEXISTS', KEYS[1], ARGV[2 + 2 * n]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[2 + 2 * n], 'destroyed')
if #KEYS > 1 then redis.call('UNLINK', unpack(KEYS, 2)) end
return 1
