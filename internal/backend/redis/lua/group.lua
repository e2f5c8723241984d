-- Makes a group on each partition that lacks it. KEYS: events of the partitions. ARGV: the group, how many records are
-- counted at most, then for each partition the id after which reading begins ("$": the last one).
local group, limit = ARGV[1], tonumber(ARGV[2])

-- How many entries were ever added up to an id, so that Redis can tell the lag from then on; nil if that is dear.
local function entriesread(key, after)
  local info, added = redis.call('XINFO', 'STREAM', key), 0
  for j = 1, #info, 2 do
    if info[j] == 'entries-added' then added = info[j + 1] end
  end
  if after == '$' then return added end
  local n, cursor = 0, '(' .. after
  repeat
    local page = redis.pcall('XRANGE', key, cursor, '+', 'COUNT', 100)
    if page.err then return nil end
    n = n + #page
    if #page > 0 then cursor = '(' .. page[#page][1] end
    if n > limit then return nil end
  until #page < 100
  return added - n
end

for i, key in ipairs(KEYS) do
  local exists = false
  for _, g in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    exists = exists or g[2] == group
  end
  if not exists then
    local after = ARGV[2 + i]
    local read = entriesread(key, after)
    if read then
      redis.call('XGROUP', 'CREATE', key, group, after, 'ENTRIESREAD', read)
    else
      redis.call('XGROUP', 'CREATE', key, group, after)
    end
  end
end
return 1
