-- Removes what an unfinished copy wrote. It can then not be finished any more.
--
-- KEYS  1 log  2 meta  3 deleted  4 base
-- ARGV  1 Idempotency-Key or ''
-- Returns {'discarded', ''}, or
--   {'earlier', cursor}   the copy is finished, by a request with the key; the cursor of its last entry then
--   {'taken', ''}         the id belongs to an LTM, or did
--
-- The call writes a field of a finished copy again: WAIT counts only what its own connection has written.
if redis.call('EXISTS', KEYS[2], KEYS[3]) == 0 then
  redis.call('UNLINK', KEYS[1], KEYS[4])
  return {'discarded', ''}
end
local key, cursor = unpack(redis.call('HMGET', KEYS[2], 'creation_key', 'creation_cursor'))
if ARGV[1] == '' or key ~= ARGV[1] or not cursor then return {'taken', ''} end
redis.call('HSET', KEYS[2], 'creation_key', key)
return {'earlier', cursor}
