-- Notes whether the log of an LTM has errors, if that is not noted yet: an older version of the services made the LTM.
--
-- KEYS  1 meta
-- ARGV  1 '1' or '0'
-- Returns 1.
if redis.call('EXISTS', KEYS[1]) == 1 and not redis.call('HGET', KEYS[1], 'errors') then
  redis.call('HSET', KEYS[1], 'errors', ARGV[1])
end
return 1
