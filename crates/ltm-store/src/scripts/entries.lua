-- Reads the entries with these seqs, in this order, until their bytes reach a limit.
--
-- KEYS  1 log
-- ARGV  1 bytes at which to stop  2… seqs
-- Returns {seqs looked up, id, kind, payload, id, kind, payload, …}. An entry that the log no longer has is left out.
local found, bytes = {0}, 0
for index = 2, #ARGV do
  found[1] = index - 1
  local entry = redis.call('XRANGE', KEYS[1], ARGV[index], ARGV[index])[1]
  if entry then
    local payload = entry[2][2]
    found[#found + 1] = entry[1]
    found[#found + 1] = entry[2][1]
    found[#found + 1] = payload
    bytes = bytes + #payload
    if bytes >= tonumber(ARGV[1]) then break end
  end
end
return found
