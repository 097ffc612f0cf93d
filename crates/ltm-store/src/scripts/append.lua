-- Appends the entries of one request to an LTM's log. It writes all of them, or nothing.
--
-- KEYS  1 log  2 meta  3 idem
-- ARGV  1 expected head  2 new head: the cursor of the last entry  3 kind  4 now  5 number of snapshots after the entries
--       6 live channel  7 Idempotency-Key or ''  8 value to store for the key  9 number of keys that are stored
--       10 producer or ''  11 epoch of the producer  12 most producers  13 PUBLISH or SPUBLISH  14 status or ''
--       15 seq of the new head  16 word of the request  17 number of words that are stored
--       18… cursor and payload of each entry
-- Returns {'ok', ''} if this call, or an earlier one with the same word, appended the entries, or
--   {'unknown', ''}             the LTM does not exist
--   {'duplicate', value}        an earlier request with the key appended entries
--   {'fenced', epoch, doubt}    a higher epoch of the producer has written
--   {'crowded', most, doubt}    the LTM already has the most producers
--   {'conflict', head, doubt}   the log has another head
--   {'foreign', id}             the stream has an entry after the head that the services did not write
-- doubt is '' if no earlier call with the word has appended the entries. Otherwise that is forgotten: only a call that
-- began more than `doubt` microseconds ago can have appended them.
--
-- A call that finds the work done writes a field again: WAIT counts only what its own connection has written.
local FIRST = 18
local log, meta, idem = KEYS[1], KEYS[2], KEYS[3]
local head = redis.call('HGET', meta, 'cursor')
if not head then return {'unknown', ''} end

local clock = redis.call('TIME')
local appended = clock[1] .. string.format('%06d', clock[2])
local seq, words = tonumber(ARGV[15]), tonumber(ARGV[17])
local slot = 'w:' .. seq % words
local written = redis.call('HGET', idem, slot)
if written and string.match(written, '^%S+ (%S+)') == ARGV[16] then
  redis.call('HSET', idem, slot, written)
  return {'ok', ''}
end

-- The word of a later append takes the place of ours. If that happened, every append behind ours whose word is still
-- there came after it. If nobody has taken its place, ours was not written, unless all words are gone.
local function doubt()
  if tonumber(string.match(head, '^%d+')) < seq + words then return '' end
  local entry = redis.call('XRANGE', log, ARGV[15], ARGV[15], 'COUNT', 1)[1]
  if entry and entry[1] ~= ARGV[2] then return '' end
  local slots, oldest = {}, nil
  for place = 1, words do slots[place] = 'w:' .. (place - 1) end
  for _, stored in ipairs(redis.call('HMGET', idem, unpack(slots))) do
    local at, time = string.match(stored or '', '^(%d+) %S+ (%d+)$')
    if at and tonumber(at) > seq then oldest = math.min(oldest or tonumber(time), tonumber(time)) end
  end
  if not oldest then return '0' end
  local at = tonumber(string.match(written or '', '^%d+'))
  if not at or at <= seq then return '' end
  return string.format('%.0f', tonumber(appended) - oldest)
end

local key = 'k:' .. ARGV[7]
if ARGV[7] ~= '' then
  local stored = redis.call('HGET', idem, key)
  if stored then
    redis.call('HSET', idem, key, stored)
    return {'duplicate', stored}
  end
end

local producer = 'producer:' .. ARGV[10]
local is_new_producer = false
if ARGV[10] ~= '' then
  local epoch = redis.call('HGET', meta, producer)
  if epoch and tonumber(epoch) > tonumber(ARGV[11]) then return {'fenced', epoch, doubt()} end
  is_new_producer = not epoch
  if is_new_producer and tonumber(redis.call('HGET', meta, 'producers') or '0') >= tonumber(ARGV[12]) then
    return {'crowded', ARGV[12], doubt()}
  end
end

if head ~= ARGV[1] then return {'conflict', head, doubt()} end

local added = redis.pcall('XADD', log, ARGV[FIRST], ARGV[3], ARGV[FIRST + 1])
if added.err then
  local foreign = redis.call('XREVRANGE', log, '+', '(' .. head, 'COUNT', 1)[1]
  if foreign then return {'foreign', foreign[1]} end
  return added
end
local total = #ARGV[FIRST + 1]
for at = FIRST + 2, #ARGV, 2 do
  redis.call('XADD', log, ARGV[at], ARGV[3], ARGV[at + 1])
  total = total + #ARGV[at + 1]
end
local written_at = clock[1] .. string.format('%03d', math.floor(clock[2] / 1000))
redis.call('HSET', meta, 'cursor', ARGV[2], 'updated_at', ARGV[4], 'snapshots_count', ARGV[5],
  'written_at', written_at, 'status', ARGV[2] .. ' ' .. ARGV[14])
if ARGV[3] == 'error' then redis.call('HSET', meta, 'errors', 1) end
-- A field of another cursor is outdated: an older version of the services has appended without it.
local at, base, bytes = string.match(redis.call('HGET', meta, 'bytes') or '', '^(%S+) (%S+) (%d+)$')
if at == head then
  bytes = string.format('%.0f', tonumber(bytes) + total)
  redis.call('HSET', meta, 'bytes', ARGV[2] .. ' ' .. base .. ' ' .. bytes)
end
redis.call('HSET', idem, slot, ARGV[15] .. ' ' .. ARGV[16] .. ' ' .. appended)
if ARGV[10] ~= '' then
  redis.call('HSET', meta, producer, ARGV[11])
  if is_new_producer then redis.call('HINCRBY', meta, 'producers', 1) end
end
if ARGV[7] ~= '' then
  -- The keys of the entries whose places these entries take are forgotten.
  local keys, places = tonumber(ARGV[9]), {}
  for at = seq - (#ARGV - FIRST - 1) / 2, seq do places[#places + 1] = 'r:' .. at % keys end
  local forgotten = {}
  for at, earlier in ipairs(redis.call('HMGET', idem, unpack(places))) do
    if earlier then
      forgotten[#forgotten + 1] = earlier
      forgotten[#forgotten + 1] = places[at]
    end
  end
  if #forgotten > 0 then redis.call('HDEL', idem, unpack(forgotten)) end
  redis.call('HSET', idem, key, ARGV[8], places[#places], key)
end
for at = FIRST, #ARGV, 2 do
  redis.call(ARGV[13], ARGV[6], ARGV[at] .. ' ' .. ARGV[3] .. ' ' .. appended .. ' ' .. ARGV[at + 1])
end
return {'ok', ''}
