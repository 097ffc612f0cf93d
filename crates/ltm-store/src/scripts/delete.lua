-- Ends an LTM's log and removes its keys, or says why not.
--
-- KEYS  1 meta  2 deleted  3… the other keys of the LTM
-- ARGV  1 expected cursor  2 cursor of the entry that ends the log  3 its kind  4 its payload  5 live channel
--       6 PUBLISH or SPUBLISH
local current = redis.call('HGET', KEYS[1], 'cursor')
if not current then return {'unknown', ''} end
if current ~= ARGV[1] then return {'conflict', current} end
redis.call('SET', KEYS[2], ARGV[2])
redis.call('UNLINK', KEYS[1], unpack(KEYS, 3))
local clock = redis.call('TIME')
local appended = clock[1] .. string.format('%06d', clock[2])
redis.call(ARGV[6], ARGV[5], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. appended .. ' ' .. ARGV[4])
return {'ok', ''}
