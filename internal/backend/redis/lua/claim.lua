-- Claims a marker: compare-and-set of the owner. Returns 1; 0 if somebody else owns it now; -1 if its owner is deleting
-- it; -2 if that has destroyed something already. The same resource may call off a deletion that has destroyed nothing.
-- KEYS: the marker, and optionally the set that lists it. ARGV: how many fields an owner has (n), the last of which tells
-- a resource from an earlier one of the same name; whether the marker was observed (0 or 1); the member for the set; the
-- fields that say that a deletion has begun, and how often the owner has changed; n names of fields; n values that were
-- observed; n that are desired; then names and values of settings, which are written unless they are there.
local n, observed, deletion, takeovers = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[4], ARGV[5]
local names, was, wanted, settings = 5, 5 + n, 5 + 2 * n, 6 + 3 * n
local exists = redis.call('EXISTS', KEYS[1])
local has = exists == 1 and redis.call('HMGET', KEYS[1], deletion, unpack(ARGV, names + 1, names + n)) or {}
local same, resource, mine = exists == observed, exists == 1, exists == 1
for i = 1, n do
  local value = has[1 + i] or ''
  same = same and value == ARGV[was + i]
  mine = mine and value == ARGV[wanted + i]
  if i < n then resource = mine end
end
if not (same or mine) then return 0 end
local state = has[1]
if state and not resource then return -1 end
if state and state ~= 'begun' then return -2 end
if exists == 1 and not resource then redis.call('HINCRBY', KEYS[1], takeovers, 1) end
if state then redis.call('HDEL', KEYS[1], deletion) end

local fields, write = {}, {}
for i = settings, #ARGV, 2 do fields[#fields + 1] = ARGV[i] end
local there = exists == 1 and #fields > 0 and redis.call('HMGET', KEYS[1], unpack(fields)) or {}
for i = 1, n do
  write[#write + 1], write[#write + 2] = ARGV[names + i], ARGV[wanted + i]
end
for i, field in ipairs(fields) do
  if not there[i] then write[#write + 1], write[#write + 2] = field, ARGV[settings + 2 * i - 1] end
end
redis.call('HSET', KEYS[1], unpack(write))
if KEYS[2] then redis.call('SADD', KEYS[2], ARGV[3]) end
return 1
