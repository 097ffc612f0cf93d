-- Writes a field of a hash again. WAIT counts only what its own connection has written, so this is how a connection
-- waits for what another one wrote.
--
-- KEYS  1 hash
-- ARGV  1 field
-- Returns 1, or 0 if there is no such field.
local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], value)
return 1
