-- Moves a group to another place in each partition: nothing is pending afterwards, and failures are counted anew. One
-- that got lost is made there: to replay is a way out when nobody knows where it was.
-- SETID, and not DESTROY and CREATE: consumers that wait for the group would get an error, as if the store were gone.
-- KEYS: for each partition its events and retries. ARGV: the group, then for each partition the id after which reading
-- begins.
local group = ARGV[1]
for i = 1, #KEYS, 2 do
  local key = KEYS[i]
  local after, exists = ARGV[1 + (i + 1) / 2], false
  for _, g in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    exists = exists or g[2] == group
  end
  redis.call('XGROUP', exists and 'SETID' or 'CREATE', key, group, after)
  repeat
    local page, ids = redis.call('XPENDING', key, group, '-', '+', 1000), {}
    for j, p in ipairs(page) do ids[j] = p[1] end
    if #ids > 0 then redis.call('XACK', key, group, unpack(ids)) end
  until #ids < 1000
  redis.call('UNLINK', KEYS[i + 1])
end
return 1
