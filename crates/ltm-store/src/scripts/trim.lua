-- Removes the entries up to a cursor, whose state it stores; only where nobody else has trimmed
-- meanwhile and the log has this history.
--
-- KEYS  1 log  2 meta  3 base  4 checkpoint
-- ARGV  1 cursor of the base so far or ''  2 new cursor  3 place after it  4 state  5 outline  6 time
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
if (redis.call('HGET', KEYS[3], 'cursor') or '') ~= ARGV[1] then return 0 end
if #redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2]) == 0 then return 0 end
redis.call('HSET', KEYS[3], 'cursor', ARGV[2], 'state', ARGV[4], 'outline', ARGV[5], 'time', ARGV[6])
local checkpoint = redis.call('HGET', KEYS[4], 'cursor')
if checkpoint and tonumber(string.match(checkpoint, '^%d+')) < tonumber(ARGV[3]) then
  redis.call('UNLINK', KEYS[4])
end
redis.call('XTRIM', KEYS[1], 'MINID', ARGV[3] .. '-0')
return 1
