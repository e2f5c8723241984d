-- Observes one group over all partitions. KEYS: for each partition its events, dead letters and lease. ARGV: the group,
-- the consumer name that leases share, how many milliseconds a consumer may idle, how many records are counted at most.
-- Returns for each partition: whether the group exists, last delivered id, pending records, id of the first pending one,
-- id of the first undelivered one, undelivered records (-1: not counted), length, first id and last id of the stream if
-- there are any, dead letters, names of the consumers; or the text of an error.
local group, shared, idle, limit = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function named(list)
  local m = {}
  for j = 1, #list, 2 do m[list[j]] = list[j + 1] end
  return m
end

-- Counts from an entry on; -1 if there are more than limit.
local function count(key, from)
  local n, cursor = 0, from
  repeat
    local page = redis.call('XRANGE', key, cursor, '+', 'COUNT', 100)
    n = n + #page
    if #page > 0 then cursor = '(' .. page[#page][1] end
  until #page < 100 or n > limit
  return n > limit and -1 or n
end

local function consumers(key, lease)
  local names = {}
  local held = redis.pcall('HMGET', lease, 'consumer', 'until')
  if not held.err and held[1] and held[2] and tonumber(held[2]) and tonumber(held[2]) > now then
    names[1] = held[1]
  end
  for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', key, group)) do
    c = named(c)
    if c['name'] ~= shared and c['idle'] < idle then names[#names + 1] = c['name'] end
  end
  return names
end

local function observe(key, dlq, lease)
  local dead = redis.pcall('XLEN', dlq)
  if type(dead) == 'table' then return dead.err end
  local groups = redis.pcall('XINFO', 'GROUPS', key)
  if groups.err then
    if not string.find(groups.err, 'no such key', 1, true) then return groups.err end
    groups = {}
  end
  for _, g in ipairs(groups) do
    g = named(g)
    if g['name'] == group then
      local last = g['last-delivered-id']
      local pending = redis.call('XPENDING', key, group)
      local unread = redis.pcall('XRANGE', key, '(' .. last, '+', 'COUNT', 1)
      if unread.err or #unread == 0 then -- Nothing can follow the greatest id.
        return {1, last, pending[1], pending[2] or '', '', 0, 0, '', '', dead, consumers(key, lease)}
      end
      local stream = named(redis.call('XINFO', 'STREAM', key))
      local length, first, final, from = stream['length'], stream['first-entry'][1], stream['last-entry'][1], unread[1][1]
      local lag = length -- The counter of Redis still has records that were trimmed before anybody read them.
      if from ~= first then lag = g['lag'] or count(key, from) end
      return {1, last, pending[1], pending[2] or '', from, lag, length, first, final, dead, consumers(key, lease)}
    end
  end
  return {0, '', 0, '', '', 0, 0, '', '', dead, {}}
end

local out = {}
for i = 1, #KEYS, 3 do
  out[#out + 1] = observe(KEYS[i], KEYS[i + 1], KEYS[i + 2])
end
return out
