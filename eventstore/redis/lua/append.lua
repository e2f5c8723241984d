-- Appends one record to a stream if the stream is at the expected version, or finds that it did so before.
-- KEYS: events, index of the stream. ARGV: expected version (-1: any), events in the record, how many appends to compare
-- if any, id of the first event, then fields and values of the record. Returns what happened, and the version.
local expected, count, window, id = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local last = redis.call('ZRANGE', KEYS[2], 0, 0, 'REV', 'WITHSCORES')
local version = tonumber(last[2] or 0)
if version > 0 and redis.call('XLEN', KEYS[1]) == 0 then return {'LOST', version} end

-- repeated reports whether the entry begins with our event, at the version after base if that is given.
local function repeated(entry, base)
  local found = redis.call('XRANGE', KEYS[1], entry, entry)[1]
  local same, at = false, base == nil
  for i = 1, found and #found[2] or 0, 2 do
    local name, value = found[2][i], found[2][i + 1]
    if name == 'ce_id' then same = value == id end
    if name == 'ce_version' and base then at = tonumber(value) == base + 1 end
  end
  return same and at
end

if expected >= 0 and expected < version then
  local next = redis.call('ZRANGE', KEYS[2], '(' .. expected, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  if repeated(next[1], expected) then return {'OK', tonumber(next[2])} end
elseif expected < 0 then
  local recent = redis.call('ZRANGE', KEYS[2], 0, window - 1, 'REV', 'WITHSCORES')
  for i = 1, #recent, 2 do
    if repeated(recent[i]) then return {'OK', tonumber(recent[i + 1])} end
  end
end
if expected >= 0 and expected ~= version then return {'CONFLICT', version} end
if count == 0 then return {'OK', version} end
local entry = redis.call('XADD', KEYS[1], '*', 'ce_version', string.format('%d', version + 1), unpack(ARGV, 5))
redis.call('ZADD', KEYS[2], version + count, entry)
return {'OK', version + count}
