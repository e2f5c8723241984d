-- Saves a snapshot unless there is one of a greater version. KEYS: snapshot. ARGV: version, then fields and values.
if tonumber(redis.call('HGET', KEYS[1], 'version') or 0) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], unpack(ARGV, 2))
return 1
