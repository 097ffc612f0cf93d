-- Removes an Idempotency-Key of a creation, if it still has this value.
--
-- KEYS  1 created
-- ARGV  1 value
-- Returns 1 if it removed the key, otherwise 0.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])
