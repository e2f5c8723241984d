-- Returns the last id that each Redis stream gave out. KEYS: the streams.
local out = {}
for i, key in ipairs(KEYS) do
  local info = redis.call('XINFO', 'STREAM', key)
  for j = 1, #info, 2 do
    if info[j] == 'last-generated-id' then out[i] = info[j + 1] end
  end
end
return out
