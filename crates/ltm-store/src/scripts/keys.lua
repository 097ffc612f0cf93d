-- Reads all keys of an LTM but its log, in one step.
--
-- KEYS  1 meta  2 base  3 checkpoint  4 idem
-- Returns the fields and values of each.
local hashes = {}
for i, key in ipairs(KEYS) do hashes[i] = redis.call('HGETALL', key) end
return hashes
