-- Reads one window of a log, and its head, in one step.
--
-- KEYS  1 log  2 meta  3 deleted
-- ARGV  1 cursor to read after  2 bytes at which to stop  3 most entries
-- Returns {head, id, kind, payload, id, kind, payload, …}, or
--   {}                       the LTM does not exist
--   {'deleted', cursor}      the LTM was deleted; the cursor of its last entry
--   {'damaged', error}       Redis cannot read the log up to its head
--
-- Entries after the head are not part of the log: the services did not write them.
--
-- The window stops by bytes as well as by count, because an entry can have any size. The script reads pages of four
-- entries, so it reads little more than that.
local head = redis.call('HGET', KEYS[2], 'cursor')
if not head then
  local deleted = redis.call('GET', KEYS[3])
  if deleted then return {'deleted', deleted} end
  return {}
end
local window, bytes, from = {head}, 0, '(' .. ARGV[1]
-- Nothing can follow the last possible id. Redis takes a range that begins after it for an error.
if ARGV[1] == '18446744073709551615-18446744073709551615' then return window end
local most_items = 3 * tonumber(ARGV[3])
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
until #page < 4 or bytes >= tonumber(ARGV[2]) or #window > most_items
return window
