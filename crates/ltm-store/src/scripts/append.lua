-- Appends one entry to an LTM's log. It writes everything, or nothing.
--
-- KEYS  1 log  2 meta  3 idem
-- ARGV  1 expected head  2 new cursor  3 kind  4 payload  5 now  6 number of snapshots after the entry
--       7 live channel  8 Idempotency-Key or ''  9 value to store for the key  10 slot of the key
--       11 producer or ''  12 epoch of the producer  13 most producers  14 PUBLISH or SPUBLISH
--       15 status or ''  16 seq of the new cursor  17 word of the request  18 number of words that are stored
-- Returns {'ok', ''} if this call, or an earlier one with the same word, appended the entry, or
--   {'unknown', ''}             the LTM does not exist
--   {'duplicate', value}        an earlier request with the key appended an entry
--   {'fenced', epoch, doubt}    a higher epoch of the producer has written
--   {'crowded', most, doubt}    the LTM already has the most producers
--   {'conflict', head, doubt}   the log has another head
--   {'foreign', id}             the stream has an entry after the head that the services did not write
-- doubt is '' if no earlier call with the word has appended the entry. Otherwise that is forgotten: only a call that
-- began more than `doubt` microseconds ago can have appended it.
--
-- A call that finds the work done writes a field again: WAIT counts only what its own connection has written.
local log, meta, idem = KEYS[1], KEYS[2], KEYS[3]
local head = redis.call('HGET', meta, 'cursor')
if not head then return {'unknown', ''} end

local clock = redis.call('TIME')
local appended = clock[1] .. string.format('%06d', clock[2])
local seq, words = tonumber(ARGV[16]), tonumber(ARGV[18])
local slot = 'w:' .. seq % words
local written = redis.call('HGET', idem, slot)
if written and string.match(written, '^%S+ (%S+)') == ARGV[17] then
  redis.call('HSET', idem, slot, written)
  return {'ok', ''}
end

local function doubt()
  local last = tonumber(string.match(head, '^%d+'))
  if last < seq + words then return '' end
  local entry = redis.call('XRANGE', log, ARGV[16], ARGV[16], 'COUNT', 1)[1]
  if entry and entry[1] ~= ARGV[2] then return '' end
  local oldest = redis.call('HGET', idem, 'w:' .. (last + 1) % words)
  local at, time = string.match(oldest or '', '^(%d+) %S+ (%d+)$')
  if tonumber(at) ~= last + 1 - words then return '0' end
  return string.format('%.0f', tonumber(appended) - tonumber(time))
end

local key = 'k:' .. ARGV[8]
if ARGV[8] ~= '' then
  local stored = redis.call('HGET', idem, key)
  if stored then
    redis.call('HSET', idem, key, stored)
    return {'duplicate', stored}
  end
end

local producer = 'producer:' .. ARGV[11]
local is_new_producer = false
if ARGV[11] ~= '' then
  local epoch = redis.call('HGET', meta, producer)
  if epoch and tonumber(epoch) > tonumber(ARGV[12]) then return {'fenced', epoch, doubt()} end
  is_new_producer = not epoch
  if is_new_producer and tonumber(redis.call('HGET', meta, 'producers') or '0') >= tonumber(ARGV[13]) then
    return {'crowded', ARGV[13], doubt()}
  end
end

if head ~= ARGV[1] then return {'conflict', head, doubt()} end

local added = redis.pcall('XADD', log, ARGV[2], ARGV[3], ARGV[4])
if added.err then
  local foreign = redis.call('XREVRANGE', log, '+', '(' .. head, 'COUNT', 1)[1]
  if foreign then return {'foreign', foreign[1]} end
  return added
end
local written_at = clock[1] .. string.format('%03d', math.floor(clock[2] / 1000))
redis.call('HSET', meta, 'cursor', ARGV[2], 'updated_at', ARGV[5], 'snapshots_count', ARGV[6],
  'written_at', written_at, 'status', ARGV[2] .. ' ' .. ARGV[15])
if ARGV[3] == 'error' then redis.call('HSET', meta, 'errors', 1) end
-- A field of another cursor is outdated: an older version of the services has appended without it.
local at, base, bytes = string.match(redis.call('HGET', meta, 'bytes') or '', '^(%S+) (%S+) (%d+)$')
if at == head then
  bytes = string.format('%.0f', tonumber(bytes) + #ARGV[4])
  redis.call('HSET', meta, 'bytes', ARGV[2] .. ' ' .. base .. ' ' .. bytes)
end
redis.call('HSET', idem, slot, ARGV[16] .. ' ' .. ARGV[17] .. ' ' .. appended)
if ARGV[11] ~= '' then
  redis.call('HSET', meta, producer, ARGV[12])
  if is_new_producer then redis.call('HINCRBY', meta, 'producers', 1) end
end
if ARGV[8] ~= '' then
  local key_slot = 'r:' .. ARGV[10]
  local oldest = redis.call('HGET', idem, key_slot)
  if oldest then redis.call('HDEL', idem, oldest) end
  redis.call('HSET', idem, key, ARGV[9], key_slot, key)
end
redis.call(ARGV[14], ARGV[7], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. appended .. ' ' .. ARGV[4])
return {'ok', ''}
