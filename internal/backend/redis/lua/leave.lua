-- Removes a subscription from its partitions. KEYS: for each partition its events, dead letters, lease and retries.
-- ARGV: the group.
for i = 1, #KEYS, 4 do
  if redis.call('TYPE', KEYS[i]).ok == 'stream' then
    redis.call('XGROUP', 'DESTROY', KEYS[i], ARGV[1])
  end
  redis.call('UNLINK', KEYS[i + 1], KEYS[i + 2], KEYS[i + 3])
end
return 1
