-- Adds entries to the log of an unfinished copy. Base and log expire until the copy is finished.
--
-- KEYS  1 log  2 meta  3 deleted  4 base
-- ARGV  1 cursor of the last entry in the log or ''  2 seconds until the keys expire
--       3 cursor of the base or ''  4 state  5 history index (field `outline`)  6 time
--       7… cursor, kind and payload of each entry
-- Returns 1, or 0 if the log has another last entry, or the id belongs to an LTM: a failover has lost the copy.
if redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then return 0 end
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[4], 'cursor', ARGV[3], 'state', ARGV[4], 'outline', ARGV[5], 'time', ARGV[6])
  redis.call('EXPIRE', KEYS[4], ARGV[2])
end
if #ARGV < 7 then return 1 end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
last = last and last[1] or ''
-- An earlier call has added them.
if last == ARGV[#ARGV - 2] then return 1 end
if last ~= ARGV[1] then return 0 end
for i = 7, #ARGV, 3 do
  redis.call('XADD', KEYS[1], ARGV[i], ARGV[i + 1], ARGV[i + 2])
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[4], ARGV[2])
return 1
