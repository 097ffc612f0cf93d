-- Adds a revocation, and removes those that have ended. All are in one hash: the value of a credential is the end of its
-- revocation in seconds since 1970, 0 if it does not end. `version` differs after each change.
--
-- KEYS  1 revocations
-- ARGV  1 credential  2 end  3 now  4 the most revocations  5 version
-- Returns 1; 0 if there are as many as allowed.
local all = redis.call('HGETALL', KEYS[1])
local others = 0
for i = 1, #all, 2 do
  if all[i] ~= 'version' and all[i] ~= ARGV[1] then
    local ends = tonumber(all[i + 1])
    if ends > 0 and ends <= tonumber(ARGV[3]) then
      redis.call('HDEL', KEYS[1], all[i])
    else
      others = others + 1
    end
  end
end
if others >= tonumber(ARGV[4]) then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2], 'version', ARGV[5])
return 1
