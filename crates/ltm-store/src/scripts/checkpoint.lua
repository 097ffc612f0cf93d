-- Stores a checkpoint unless there is a later one, or the LTM is gone or has another history.
--
-- KEYS  1 log  2 meta  3 checkpoint
-- ARGV  1 cursor  2 its seq  3 state  4 outline
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return 0 end
local stored = redis.call('HGET', KEYS[3], 'cursor')
if stored and tonumber(string.match(stored, '^%d+')) >= tonumber(ARGV[2])
  and #redis.call('XRANGE', KEYS[1], stored, stored) > 0 then
  return 0
end
redis.call('HSET', KEYS[3], 'cursor', ARGV[1], 'state', ARGV[3], 'outline', ARGV[4])
return 1
