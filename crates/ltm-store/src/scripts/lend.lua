-- Stores a value for a short time, unless the key exists. It removes first, so that it works if Redis is out of
-- memory: Redis lets a script go on that has removed something.
--
-- KEYS  1 key
-- ARGV  1 value  2 milliseconds
-- Returns 1, or 0 if the key exists.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('UNLINK', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
