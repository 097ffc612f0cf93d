-- Appends one entry to an LTM's log. It writes everything, or nothing.
--
-- KEYS  1 log  2 meta  3 idem
-- ARGV  1 expected head  2 new cursor  3 kind  4 payload  5 now  6 number of snapshots after the entry
--       7 live channel  8 Idempotency-Key or ''  9 value to store for the key  10 slot of the key
--       11 producer or ''  12 epoch of the producer  13 most producers  14 PUBLISH or SPUBLISH
--       15 status or ''
-- Returns {'ok', ''}, or
--   {'unknown', ''}          the LTM does not exist
--   {'duplicate', value}     an earlier request with the key appended an entry
--   {'fenced', epoch}        a higher epoch of the producer has written
--   {'crowded', most}        the LTM already has the most producers
--   {'conflict', head}       the log has another head
--   {'foreign', id}          the stream has an entry after the head that the services did not write
local log, meta, idem = KEYS[1], KEYS[2], KEYS[3]
local head = redis.call('HGET', meta, 'cursor')
if not head then return {'unknown', ''} end

local key = 'k:' .. ARGV[8]
if ARGV[8] ~= '' then
  local stored = redis.call('HGET', idem, key)
  if stored then return {'duplicate', stored} end
end

local producer = 'producer:' .. ARGV[11]
local is_new_producer = false
if ARGV[11] ~= '' then
  local epoch = redis.call('HGET', meta, producer)
  if epoch and tonumber(epoch) > tonumber(ARGV[12]) then return {'fenced', epoch} end
  is_new_producer = not epoch
  if is_new_producer and tonumber(redis.call('HGET', meta, 'producers') or '0') >= tonumber(ARGV[13]) then
    return {'crowded', ARGV[13]}
  end
end

if head ~= ARGV[1] then return {'conflict', head} end

local added = redis.pcall('XADD', log, ARGV[2], ARGV[3], ARGV[4])
if added.err then
  local foreign = redis.call('XREVRANGE', log, '+', '(' .. head, 'COUNT', 1)[1]
  if foreign then return {'foreign', foreign[1]} end
  return added
end
local clock = redis.call('TIME')
local written_at = clock[1] .. string.format('%03d', math.floor(clock[2] / 1000))
local appended = clock[1] .. string.format('%06d', clock[2])
redis.call('HSET', meta, 'cursor', ARGV[2], 'updated_at', ARGV[5], 'snapshots_count', ARGV[6],
  'written_at', written_at, 'status', ARGV[2] .. ' ' .. ARGV[15])
if ARGV[11] ~= '' then
  redis.call('HSET', meta, producer, ARGV[12])
  if is_new_producer then redis.call('HINCRBY', meta, 'producers', 1) end
end
if ARGV[8] ~= '' then
  local slot = 'r:' .. ARGV[10]
  local oldest = redis.call('HGET', idem, slot)
  if oldest then redis.call('HDEL', idem, oldest) end
  redis.call('HSET', idem, key, ARGV[9], slot, key)
end
redis.call(ARGV[14], ARGV[7], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. appended .. ' ' .. ARGV[4])
return {'ok', ''}
