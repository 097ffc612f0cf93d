-- Finds the different terms that begin with a text. It steps from one to the next, so their LTMs do not matter.
--
-- KEYS  1 terms
-- ARGV  1 beginning  2 most terms
-- Returns the terms; one more than the most if there are more.
local found, from = {}, '[' .. ARGV[1]
repeat
  local member = redis.call('ZRANGEBYLEX', KEYS[1], from, '[' .. ARGV[1] .. '\255', 'LIMIT', 0, 1)[1]
  if not member then break end
  -- A zero byte and an id of twenty digits follow.
  found[#found + 1] = string.sub(member, 1, -22)
  from = '(' .. found[#found] .. '\0\255'
until #found > tonumber(ARGV[2])
return found
