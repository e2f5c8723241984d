-- Writes fields of a marker, if it still has the owner. Returns 1, or 0 if it does not.
-- KEYS: the marker. ARGV: how many fields an owner has (n); n names; n values; then names and values to write.
local n = tonumber(ARGV[1])
for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(ARGV, 2, 1 + n))) do
  if (value or '') ~= ARGV[1 + n + i] then return 0 end
end
if #ARGV > 1 + 2 * n then redis.call('HSET', KEYS[1], unpack(ARGV, 2 + 2 * n)) end
return 1
