-- Removes a subscription from its partitions, and its marker, if its deletion was not called off. Returns 1, or 0 if it
-- was. KEYS: the marker, the set that lists it, then for each partition its events, dead letters, lease and retries.
-- ARGV: as for doom.lua, then the group.
if redis.call('EXISTS', KEYS[1]) == 0 then return 1 end
local n = tonumber(ARGV[1])
for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(ARGV, 2, 1 + n))) do
  if (value or '') ~= ARGV[1 + n + i] then return 0 end
end
if redis.call('HEXISTS', KEYS[1], ARGV[2 + 2 * n]) == 0 then return 0 end
local group = ARGV[3 + 2 * n]
for i = 3, #KEYS, 4 do
  if redis.call('TYPE', KEYS[i]).ok == 'stream' then
    redis.call('XGROUP', 'DESTROY', KEYS[i], group)
  end
  redis.call('UNLINK', KEYS[i + 1], KEYS[i + 2], KEYS[i + 3])
end
redis.call('SREM', KEYS[2], group)
redis.call('UNLINK', KEYS[1])
return 1
