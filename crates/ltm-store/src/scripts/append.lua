-- Appends one entry to an LTM's log, or says why not. Nothing is written unless all of it is.
--
-- KEYS  1 log  2 meta  3 idem
-- ARGV  1 expected cursor  2 new cursor  3 kind  4 payload  5 now  6 snapshots_count after
--       7 live channel  8 Idempotency-Key or ''  9 its answer  10 its slot
--       11 producer or ''  12 its epoch  13 most producers  14 PUBLISH or SPUBLISH
--       15 status or ''
local log, meta, idem = KEYS[1], KEYS[2], KEYS[3]
local current = redis.call('HGET', meta, 'cursor')
if not current then return {'unknown', ''} end

local key = 'k:' .. ARGV[8]
if ARGV[8] ~= '' then
  local answer = redis.call('HGET', idem, key)
  if answer then return {'duplicate', answer} end
end

local producer = 'producer:' .. ARGV[11]
local newcomer = false
if ARGV[11] ~= '' then
  local epoch = redis.call('HGET', meta, producer)
  if epoch and tonumber(epoch) > tonumber(ARGV[12]) then return {'fenced', epoch} end
  newcomer = not epoch
  if newcomer and tonumber(redis.call('HGET', meta, 'producers') or '0') >= tonumber(ARGV[13]) then
    return {'crowded', ARGV[13]}
  end
end

if current ~= ARGV[1] then return {'conflict', current} end

local added = redis.pcall('XADD', log, ARGV[2], ARGV[3], ARGV[4])
if added.err then
  local foreign = redis.call('XREVRANGE', log, '+', '(' .. current, 'COUNT', 1)[1]
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
  if newcomer then redis.call('HINCRBY', meta, 'producers', 1) end
end
if ARGV[8] ~= '' then
  local slot = 'r:' .. ARGV[10]
  local oldest = redis.call('HGET', idem, slot)
  if oldest then redis.call('HDEL', idem, oldest) end
  redis.call('HSET', idem, key, ARGV[9], slot, key)
end
redis.call(ARGV[14], ARGV[7], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. appended .. ' ' .. ARGV[4])
return {'ok', ''}
