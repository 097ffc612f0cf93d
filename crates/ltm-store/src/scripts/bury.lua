-- Reserves the id of an LTM that was deleted, unless there is one with this id.
--
-- KEYS  1 meta  2 deleted
-- ARGV  1 the last cursor of its log
-- Returns 1, or 0 if there is an LTM with this id.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('SET', KEYS[2], redis.call('GET', KEYS[2]) or ARGV[1])
return 1
