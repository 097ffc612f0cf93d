-- Adds an id to a list. It removes the id first, because WAIT counts only a write that changes something: a repeated
-- request waits for the replicas, too.
--
-- KEYS  1 index
-- ARGV  1 id as a member of the index
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], 0, ARGV[1])
return 1
