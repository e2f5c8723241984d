-- Observes Redis streams without sending their entries. KEYS: the streams. Returns for each: length, id of the first
-- entry, id of the last one, bytes; or nothing if the key does not exist; or the text of an error.
local out = {}
for i, key in ipairs(KEYS) do
  local info = redis.pcall('XINFO', 'STREAM', key)
  if info.err then
    out[i] = string.find(info.err, 'no such key', 1, true) and {} or info.err
  else
    local s = {}
    for j = 1, #info, 2 do s[info[j]] = info[j + 1] end
    out[i] = {
      s['length'],
      s['first-entry'] and s['first-entry'][1] or '',
      s['last-entry'] and s['last-entry'][1] or '',
      redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 1) or 0,
    }
  end
end
return out
