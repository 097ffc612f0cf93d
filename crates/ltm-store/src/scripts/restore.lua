-- Makes an LTM of the finished log of a restore.
--
-- KEYS  1 log  2 meta  3 deleted  4 base  5 idem  6 checkpoint
-- ARGV  1 cursor of the head  2 number of fields of meta  3 of idem  4 of checkpoint  5… fields and values of the three
-- Returns 1 if this call, or an earlier one, made the LTM;
--   0 if the id belongs to another LTM, or did;  -1 if the log has expired or was discarded.
--
-- A call that finds the work done writes a field again: WAIT counts only what its own connection has written.
if redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then
  if redis.call('HGET', KEYS[2], 'cursor') ~= ARGV[1] then return 0 end
  redis.call('HSET', KEYS[2], 'cursor', ARGV[1])
  return 1
end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
last = last and last[1] or redis.call('HGET', KEYS[4], 'cursor')
if last ~= ARGV[1] then return -1 end
redis.call('PERSIST', KEYS[1])
redis.call('PERSIST', KEYS[4])
local at = 5
for number, key in ipairs({KEYS[2], KEYS[5], KEYS[6]}) do
  for _ = 1, tonumber(ARGV[number + 1]) do
    redis.call('HSET', key, ARGV[at], ARGV[at + 1])
    at = at + 2
  end
end
return 1
