-- Creates an LTM with its first entry.
--
-- KEYS  1 log  2 meta  3 deleted
-- ARGV  1 cursor  2 kind  3 payload  4 live channel  5 PUBLISH or SPUBLISH  6… fields and values of meta
-- Returns {'ok', ''}, or {'taken', head} if the id is taken.
if redis.call('EXISTS', KEYS[1], KEYS[2], KEYS[3]) > 0 then
  return {'taken', redis.call('HGET', KEYS[2], 'cursor') or ''}
end
redis.call('XADD', KEYS[1], ARGV[1], ARGV[2], ARGV[3])
local clock = redis.call('TIME')
local written_at = clock[1] .. string.format('%03d', math.floor(clock[2] / 1000))
local appended = clock[1] .. string.format('%06d', clock[2])
redis.call('HSET', KEYS[2], 'cursor', ARGV[1], 'written_at', written_at, unpack(ARGV, 6))
redis.call(ARGV[5], ARGV[4], ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. appended .. ' ' .. ARGV[3])
return {'ok', ''}
