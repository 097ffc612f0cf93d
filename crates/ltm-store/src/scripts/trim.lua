-- Removes the entries up to a cursor, and stores the state at that cursor as the base. It does nothing if another
-- process has trimmed the log, or if the log has another history. It removes first, so that it works if Redis is out
-- of memory.
--
-- KEYS  1 log  2 meta  3 base  4 checkpoint
-- ARGV  1 cursor of the old base or ''  2 cursor of the new base  3 seq after it  4 state
--       5 history index (field `outline`)  6 time  7 bytes of the removed payloads
--       8 head of the log and 9 bytes of all payloads, as the caller counted them; or '' and ''
-- Returns 1 if it removed entries, otherwise 0.
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
if (redis.call('HGET', KEYS[3], 'cursor') or '') ~= ARGV[1] then return 0 end
if #redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2]) == 0 then return 0 end
local head, counted = unpack(redis.call('HMGET', KEYS[2], 'cursor', 'bytes'))
local at, base, bytes = string.match(counted or '', '^(%S+) (%S+) (%d+)$')
if at ~= head or base ~= (ARGV[1] == '' and '-' or ARGV[1]) then
  bytes = head == ARGV[8] and ARGV[9] or nil
end
local checkpoint = redis.call('HGET', KEYS[4], 'cursor')
redis.call('XTRIM', KEYS[1], 'MINID', ARGV[3] .. '-0')
redis.call('HSET', KEYS[3], 'cursor', ARGV[2], 'state', ARGV[4], 'outline', ARGV[5], 'time', ARGV[6])
if bytes then
  bytes = string.format('%.0f', tonumber(bytes) - tonumber(ARGV[7]))
  redis.call('HSET', KEYS[2], 'bytes', head .. ' ' .. ARGV[2] .. ' ' .. bytes)
end
if checkpoint and tonumber(string.match(checkpoint, '^%d+')) < tonumber(ARGV[3]) then
  redis.call('UNLINK', KEYS[4])
end
return 1
