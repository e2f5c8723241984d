-- Notes where a replay begins before anything moves, so that repeating it moves to the same places. Returns the places;
-- "done" if that replay was done; 0 if the subscription has another owner.
-- KEYS: the marker. ARGV: how many fields an owner has (n); n names; n values; the id, the places;
-- then the names of the fields: done, pending, places.
local n = tonumber(ARGV[1])
for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(ARGV, 2, 1 + n))) do
  if (value or '') ~= ARGV[1 + n + i] then return 0 end
end
local id, places = ARGV[2 + 2 * n], ARGV[3 + 2 * n]
local done, pending, noted = ARGV[4 + 2 * n], ARGV[5 + 2 * n], ARGV[6 + 2 * n]
if redis.call('HGET', KEYS[1], done) == id then return 'done' end
if redis.call('HGET', KEYS[1], pending) == id then return redis.call('HGET', KEYS[1], noted) end
redis.call('HSET', KEYS[1], pending, id, noted, places)
return places
