-- Begins a deletion: from now on no other resource can claim the marker. Returns 1; 3 if it had begun before; 0 if it
-- belongs to another; 2 if there is none; -3 if this is not the server, in the role, that was looked at.
-- KEYS: the marker. ARGV: how many fields name its resource (n); n names; n values; the field that says so; and, unless it
-- does not matter, the replication id of the server that was looked at.
local n = tonumber(ARGV[1])
local reign = ARGV[3 + 2 * n]
if reign and not string.find(redis.call('INFO', 'replication'), 'master_replid:' .. reign, 1, true) then return -3 end
if redis.call('EXISTS', KEYS[1]) == 0 then return 2 end
for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(ARGV, 2, 1 + n))) do
  if (value or '') ~= ARGV[1 + n + i] then return 0 end
end
return redis.call('HSETNX', KEYS[1], ARGV[2 + 2 * n], 'begun') == 1 and 1 or 3
