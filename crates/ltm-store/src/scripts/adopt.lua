-- Makes an LTM of the finished log of a copy.
--
-- KEYS  1 log  2 meta  3 deleted  4 base
-- ARGV  1 cursor of the last entry  2 word of the request  3 Idempotency-Key or ''  4… fields and values of meta
-- Returns {'ok', ''} if this call, or an earlier one with the same word, made the LTM;
--   {'taken', ''} if the id is taken or was deleted; {'lost', ''} if the log has expired or was discarded.
--
-- A call that finds the work done writes a field again: WAIT counts only what its own connection has written.
if redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then
  local word = redis.call('HGET', KEYS[2], 'creation_word')
  if word ~= ARGV[2] then return {'taken', ''} end
  redis.call('HSET', KEYS[2], 'creation_word', word)
  return {'ok', ''}
end
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0
  and redis.call('HGET', KEYS[4], 'cursor') ~= ARGV[1] then
  return {'lost', ''}
end
redis.call('PERSIST', KEYS[1])
redis.call('PERSIST', KEYS[4])
local clock = redis.call('TIME')
local written_at = clock[1] .. string.format('%03d', math.floor(clock[2] / 1000))
redis.call('HSET', KEYS[2], 'cursor', ARGV[1], 'written_at', written_at, 'creation_word', ARGV[2],
  'creation_key', ARGV[3], 'creation_cursor', ARGV[1], unpack(ARGV, 4))
return {'ok', ''}
