-- Raises the counter of ids to an id that a producer chose, so that the counter does not return it later.
--
-- KEYS  1 ids
-- ARGV  1 the chosen id, at most 2^53
if tonumber(ARGV[1]) > tonumber(redis.call('GET', KEYS[1]) or '0') then
  redis.call('SET', KEYS[1], ARGV[1])
end
return 1
