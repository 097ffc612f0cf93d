-- Deletes an LTM: publishes the last entry of its log, and removes its keys. It removes first, so that it works if
-- Redis is out of memory.
--
-- KEYS  1 meta  2 deleted  3 idem  4… the other keys of the LTM
-- ARGV  1 expected head  2 cursor of the last entry  3 kind  4 payload  5 live channel  6 PUBLISH or SPUBLISH
--       7 word of the request  8 Idempotency-Key or ''  9 value to store for the key
--       10 seconds for which word and key are stored  11 producer or ''  12 epoch of the producer
-- Returns {'ok', cursor} if this call, or an earlier one with the same word, deleted the LTM, or
--   {'unknown', ''}         the LTM does not exist
--   {'deleted', cursor}     another request has deleted it; the cursor of its last entry
--   {'duplicate', value}    an earlier request with the key appended an entry
--   {'fenced', epoch}       a higher epoch of the producer has written
--   {'conflict', head}      the log has another head
--
-- A call that finds the work done writes a key again: WAIT counts only what its own connection has written.
local head = redis.call('HGET', KEYS[1], 'cursor')
if not head then
  local deleted = redis.call('GET', KEYS[2])
  if not deleted then return {'unknown', ''} end
  redis.call('UNLINK', unpack(KEYS, 4))
  redis.call('SET', KEYS[2], deleted)
  return {redis.call('HGET', KEYS[3], 'deletion') == ARGV[7] and 'ok' or 'deleted', deleted}
end
local key = 'k:' .. ARGV[8]
local stored = redis.call('HGET', KEYS[3], key)
if stored then return {'duplicate', stored} end
if ARGV[11] ~= '' then
  local epoch = redis.call('HGET', KEYS[1], 'producer:' .. ARGV[11])
  if epoch and tonumber(epoch) > tonumber(ARGV[12]) then return {'fenced', epoch} end
end
if head ~= ARGV[1] then return {'conflict', head} end
redis.call('UNLINK', KEYS[1], unpack(KEYS, 3))
redis.call('SET', KEYS[2], ARGV[2])
redis.call('HSET', KEYS[3], 'deletion', ARGV[7])
if ARGV[8] ~= '' then redis.call('HSET', KEYS[3], key, ARGV[9]) end
redis.call('EXPIRE', KEYS[3], ARGV[10])
local clock = redis.call('TIME')
local appended = clock[1] .. string.format('%06d', clock[2])
redis.call(ARGV[6], ARGV[5], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. appended .. ' ' .. ARGV[4])
return {'ok', ARGV[2]}
