-- Makes each key an empty Redis stream, unless it is a stream already. Redis has no command for that: a group is made
-- with its stream, and leaves the stream behind. KEYS: the streams.
for _, key in ipairs(KEYS) do
  local type = redis.call('TYPE', key).ok
  if type == 'none' then
    redis.call('XGROUP', 'CREATE', key, 'creating', '$', 'MKSTREAM')
    redis.call('XGROUP', 'DESTROY', key, 'creating')
  elseif type ~= 'stream' then
    return redis.error_reply('WRONGTYPE key ' .. key .. ' holds a ' .. type .. ' and not a stream')
  end
end
return 1
