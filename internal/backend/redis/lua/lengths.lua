-- Returns how many entries the Redis streams have together; or a key that is none, and the text of the error.
-- KEYS: the streams.
local sum = 0
for _, key in ipairs(KEYS) do
  local length = redis.pcall('XLEN', key)
  if type(length) == 'table' then return {key, length.err} end
  sum = sum + length
end
return sum
