-- Binds a key to an id, unless it is bound.
--
-- KEYS  1 keyed
-- ARGV  1 id  2 the id that it takes the place of, or ''
-- Returns the id that the key is bound to.
--
-- It writes in any case: WAIT counts only what its own connection has written.
local bound = redis.call('GET', KEYS[1])
if not bound or bound == ARGV[2] then bound = ARGV[1] end
redis.call('SET', KEYS[1], bound)
return bound
