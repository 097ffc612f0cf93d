-- Creates an LTM with its first entry.
--
-- KEYS  1 log  2 meta  3 deleted
-- ARGV  1 cursor  2 kind  3 payload  4 live channel  5 PUBLISH or SPUBLISH  6 word of the request
--       7 Idempotency-Key or ''  8… fields and values of meta
-- Returns {'ok', ''} if this call, or an earlier one with the same word, created the LTM, or
--   {'earlier', cursor}   an earlier request with the key created it; the cursor of its first entry
--   {'taken', ''}         another LTM has the id
--   {'deleted', ''}       an LTM with the id was deleted
--
-- A call that finds the work done writes a field again: WAIT counts only what its own connection has written.
if redis.call('EXISTS', KEYS[1], KEYS[2], KEYS[3]) > 0 then
  local word, key, first = unpack(redis.call('HMGET', KEYS[2], 'creation_word', 'creation_key', 'creation_cursor'))
  if word == ARGV[6] then
    redis.call('HSET', KEYS[2], 'creation_word', word)
    return {'ok', ''}
  end
  if key == ARGV[7] and key ~= '' then
    redis.call('HSET', KEYS[2], 'creation_key', key)
    return {'earlier', first or redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1]}
  end
  return {redis.call('EXISTS', KEYS[3]) == 1 and 'deleted' or 'taken', ''}
end
redis.call('XADD', KEYS[1], ARGV[1], ARGV[2], ARGV[3])
local clock = redis.call('TIME')
local written_at = clock[1] .. string.format('%03d', math.floor(clock[2] / 1000))
local appended = clock[1] .. string.format('%06d', clock[2])
redis.call('HSET', KEYS[2], 'cursor', ARGV[1], 'written_at', written_at, 'creation_word', ARGV[6],
  'creation_key', ARGV[7], 'creation_cursor', ARGV[1], unpack(ARGV, 8))
redis.call(ARGV[5], ARGV[4], ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. appended .. ' ' .. ARGV[3])
return {'ok', ''}
