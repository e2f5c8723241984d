-- Writes fields of a marker, if it still has the owner. Returns 1, or 0 if it does not.
-- KEYS: the marker. ARGV: how many fields an owner has (n); n names; n values; then names and values to write.
local n = tonumber(ARGV[1])
for i = 1, n do
  if (redis.call('HGET', KEYS[1], ARGV[1 + i]) or '') ~= ARGV[1 + n + i] then return 0 end
end
for i = 2 + 2 * n, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
return 1
