-- Replaces a dead letter by a new one behind all others; once, as the reply may have been lost.
-- KEYS: dead letters. ARGV: entry, then fields and values of the new letter.
if redis.call('XDEL', KEYS[1], ARGV[1]) == 1 then redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2)) end
return 1
