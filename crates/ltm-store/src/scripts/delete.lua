-- Deletes an LTM: publishes the last entry of its log, and removes its keys.
--
-- KEYS  1 meta  2 deleted  3… the other keys of the LTM
-- ARGV  1 expected head  2 cursor of the last entry  3 kind  4 payload  5 live channel  6 PUBLISH or SPUBLISH
-- Returns {'ok', ''}, {'unknown', ''} if the LTM does not exist, or {'conflict', head} if the log has another head.
local head = redis.call('HGET', KEYS[1], 'cursor')
if not head then return {'unknown', ''} end
if head ~= ARGV[1] then return {'conflict', head} end
redis.call('SET', KEYS[2], ARGV[2])
redis.call('UNLINK', KEYS[1], unpack(KEYS, 3))
local clock = redis.call('TIME')
local appended = clock[1] .. string.format('%06d', clock[2])
redis.call(ARGV[6], ARGV[5], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. appended .. ' ' .. ARGV[4])
return {'ok', ''}
