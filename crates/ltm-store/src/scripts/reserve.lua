-- Makes sure that new ids are higher than a chosen one.
--
-- KEYS  1 ids
-- ARGV  1 the chosen id, at most 2^53
if tonumber(ARGV[1]) > tonumber(redis.call('GET', KEYS[1]) or '0') then
  redis.call('SET', KEYS[1], ARGV[1])
end
return 1
