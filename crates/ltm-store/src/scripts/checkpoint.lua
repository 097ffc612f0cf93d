-- Stores a checkpoint, unless a later one is stored, the LTM was deleted, or the log has another history.
--
-- KEYS  1 log  2 meta  3 checkpoint
-- ARGV  1 cursor  2 seq of the cursor  3 state  4 history index (field `outline`)
-- Returns 1 if the checkpoint is stored, otherwise 0.
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return 0 end
local stored = redis.call('HGET', KEYS[3], 'cursor')
if stored and tonumber(string.match(stored, '^%d+')) >= tonumber(ARGV[2])
  and #redis.call('XRANGE', KEYS[1], stored, stored) > 0 then
  return 0
end
redis.call('HSET', KEYS[3], 'cursor', ARGV[1], 'state', ARGV[3], 'outline', ARGV[4])
return 1
