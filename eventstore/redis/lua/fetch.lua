-- Reads a group, if the lease is still ours: a consumer that lost it must not take entries that its successor then
-- would not see. What a read of '>' takes is noted under its number: the same number finds it again if the reply was
-- lost, and a copy that arrives late takes nothing. KEYS: events, lease. ARGV: token, group, consumer, count, from, number.
-- Returns whether the number is used up, and the entries.
local l = redis.call('HMGET', KEYS[2], 'token', 'fetched', 'fetched-after')
if l[1] ~= ARGV[1] then return redis.error_reply('STALE lease was taken over') end
local from, number, fetched = ARGV[5], tonumber(ARGV[6]), tonumber(l[2] or 0)
if number < fetched then return {1, {}} end
local used = number == fetched
if from == '>' and used then from = l[3] end
local r = redis.call('XREADGROUP', 'GROUP', ARGV[2], ARGV[3], 'COUNT', ARGV[4], 'STREAMS', KEYS[1], from)
local entries = r and r[1] and r[1][2] or {}
if from == '>' and #entries > 0 then
  local ms, seq = string.match(entries[1][1], '(%d+)-(%d+)')
  local before = string.format('%.0f-18446744073709551615', tonumber(ms) - 1)
  if seq ~= '0' then before = string.format('%s-%.0f', ms, tonumber(seq) - 1) end
  redis.call('HSET', KEYS[2], 'fetched', ARGV[6], 'fetched-after', before)
  used = true
end
return {used and 1 or 0, entries}
