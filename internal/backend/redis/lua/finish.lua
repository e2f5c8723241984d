-- Ends the deletion of a store: the marker goes. Returns 1, or 0 if the deletion was called off.
-- KEYS: the marker, the set of subscriptions, their markers. ARGV: as for doom.lua, then the names of the subscriptions.
-- Those whose own marker is lost leave the set: nobody else would ever take them out.
if redis.call('EXISTS', KEYS[1]) == 0 then return 1 end
local n = tonumber(ARGV[1])
for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(ARGV, 2, 1 + n))) do
  if (value or '') ~= ARGV[1 + n + i] then return 0 end
end
if redis.call('HEXISTS', KEYS[1], ARGV[2 + 2 * n]) == 0 then return 0 end
redis.call('UNLINK', KEYS[1])
for i = 3, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then redis.call('SREM', KEYS[2], ARGV[2 * n + i]) end
end
return 1
