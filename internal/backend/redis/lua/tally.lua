-- Keeps count of the bytes in a Redis stream, and drops its oldest entries: those before a time, and those without which
-- there are still enough bytes. Every entry is read once when it is counted and once when it is dropped, because Redis
-- says how much a stream takes only as a guess (it multiplies a few nodes), and with what groups have pending.
--
-- The count is of the entries up to some id, so it is never more than there is. If there are not as many entries as were
-- counted, somebody else has removed some, and counting begins anew.
-- KEYS: the stream, the hash that remembers the count. ARGV: bytes to keep at least (-1: all), milliseconds since 1970
-- before which entries go, entries and bytes to read at most.
-- Returns: bytes counted, entries not counted yet, id of the first entry, entries read.
local key, memory = KEYS[1], KEYS[2]
local keep, since, entries, weight = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

if redis.call('EXISTS', key) == 0 then
  redis.call('UNLINK', memory)
  return {0, 0, '', 0}
end
local info, reply = {}, redis.call('XINFO', 'STREAM', key)
for i = 1, #reply, 2 do info[reply[i]] = reply[i + 1] end
local length, total = info['length'], info['entries-added']
local first = info['first-entry'] and info['first-entry'][1] or ''

local m = redis.call('HMGET', memory, 'bytes', 'records', 'upto', 'added', 'first')
local bytes, records, upto, added = tonumber(m[1]), tonumber(m[2]), m[3], tonumber(m[4])
if not (bytes and records and upto and added) or m[5] ~= first or total < added or length - (total - added) ~= records then
  bytes, records, upto, added = 0, 0, '', total - length
end

-- Reads entries from an id on, a few at a time, until visit returns false, or enough was read.
local read, carried = 0, 0
local function walk(from, visit)
  local n = 4
  while read < entries and carried < weight do
    local page = redis.call('XRANGE', key, from, '+', 'COUNT', n)
    for _, entry in ipairs(page) do
      local size = 0
      for _, s in ipairs(entry[2]) do size = size + #s end
      if not visit(entry[1], size) then return end
      read, carried = read + 1, carried + size
      from = '(' .. entry[1]
    end
    if #page < n then return end
    n = math.min(2 * n, 32)
  end
end

walk(upto == '' and '-' or '(' .. upto, function(id, size)
  bytes, records, added, upto = bytes + size, records + 1, added + 1, id
  return true
end)

local dropped = 0
walk('-', function(id, size)
  local old = tonumber(string.match(id, '^%d+')) < since
  if records == 0 or not (old or keep >= 0 and bytes - size >= keep) then return false end
  bytes, records, dropped = bytes - size, records - 1, dropped + 1
  return true
end)
if dropped > 0 then
  redis.call('XTRIM', key, 'MAXLEN', '=', length - dropped)
  local head = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)
  first = head[1] and head[1][1] or ''
end
if read > 0 then
  redis.call('HSET', memory, 'bytes', bytes, 'records', records, 'upto', upto, 'added', added, 'first', first)
end
return {bytes, length - dropped - records, first, read}
