-- One window of a log, and the cursor that the log is at, read at one moment.
--
-- KEYS  1 log  2 meta  3 deleted
-- ARGV  1 after  2 bytes at which to stop  3 most entries
-- Answers {head, id, kind, payload, id, kind, payload, …}; {} for an unknown LTM, and for one that
-- was deleted {'deleted', cursor of the entry that ended it}; {'damaged', why} where Redis cannot read the log up
-- to its head.
--
-- What stands in the stream beyond the head was not written by the services, and is not of the log.
--
-- The window stops by bytes and not by count alone, because entries can be of any size; pages of
-- four keep what it reads beyond that small.
local head = redis.call('HGET', KEYS[2], 'cursor')
if not head then
  local deleted = redis.call('GET', KEYS[3])
  if deleted then return {'deleted', deleted} end
  return {}
end
local window, bytes, from = {head}, 0, '(' .. ARGV[1]
local most = 3 * tonumber(ARGV[3])
repeat
  local page = redis.pcall('XRANGE', KEYS[1], from, head, 'COUNT', 4)
  if page.err then return {'damaged', page.err} end
  for _, entry in ipairs(page) do
    local id, kind, payload = entry[1], entry[2][1], entry[2][2]
    window[#window + 1] = id
    window[#window + 1] = kind
    window[#window + 1] = payload
    bytes = bytes + #payload
    from = '(' .. id
  end
until #page < 4 or bytes >= tonumber(ARGV[2]) or #window > most
return window
