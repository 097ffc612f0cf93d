-- Makes an LTM of the finished log of a copy.
--
-- KEYS  1 log  2 meta  3 deleted  4 base
-- ARGV  1 cursor of the last entry  2… fields and values of meta
-- Returns {'ok', ''}; {'taken', head} if the id is taken; {'lost', ''} if the log has expired.
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
