-- Makes a log that was written aside the log of a new LTM, or says that the id is taken.
--
-- KEYS  1 log  2 meta  3 deleted  4 base
-- ARGV  1 cursor of the log's last entry  2… fields and values of meta
if redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then
  return {'taken', redis.call('HGET', KEYS[2], 'cursor') or ''}
end
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0
  and redis.call('HGET', KEYS[4], 'cursor') ~= ARGV[1] then
  return {'lost', ''}
end
redis.call('PERSIST', KEYS[1])
redis.call('PERSIST', KEYS[4])
local clock = redis.call('TIME')
local written_at = clock[1] .. string.format('%03d', math.floor(clock[2] / 1000))
redis.call('HSET', KEYS[2], 'cursor', ARGV[1], 'written_at', written_at, unpack(ARGV, 2))
return {'ok', ''}
