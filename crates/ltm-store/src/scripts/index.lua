-- Brings one LTM up to date in the index of the lists. It does nothing if the index has the LTM at a later entry.
--
-- KEYS  1 records  2 terms  3 counts  4 marked  5 updated  6 first  7 last
-- ARGV  1 id, twenty digits  2 the record to replace, or '' for any of an earlier entry  3 mark to remove or ''
--       4 most counts  5 seq of the head, or '' if there is no such LTM  6 what it counts as  7 time of the last update
--       8 time of the first update or creation  9 time of the creation  10 block of ids  11… terms
-- Returns 1, or 0 if it did nothing.
--
-- A record is lines: the seq, what the LTM counts as, and its terms. What is counted beyond the most counts is '?'.
local id, seq = ARGV[1], ARGV[5]
local old = redis.call('HGET', KEYS[1], id)
local lines = {}
for line in string.gmatch(old and old .. '\n' or '', '([^\n]*)\n') do lines[#lines + 1] = line end
if ARGV[2] ~= '' then
  if old ~= ARGV[2] then return 0 end
elseif old and (seq == '' or tonumber(lines[1]) > tonumber(seq)) then
  return 0
end

local terms, had = {}, {}
for i = 11, #ARGV do terms[ARGV[i]] = true end
for i = 3, #lines do
  had[lines[i]] = true
  if not terms[lines[i]] then redis.call('ZREM', KEYS[2], lines[i] .. '\0' .. id) end
end
for i = 11, #ARGV do
  if not had[ARGV[i]] then redis.call('ZADD', KEYS[2], 0, ARGV[i] .. '\0' .. id) end
end

local counted, was = ARGV[6], lines[2]
if counted ~= was then
  if was and redis.call('HINCRBY', KEYS[3], was, -1) < 1 then redis.call('HDEL', KEYS[3], was) end
  if seq ~= '' then
    if not redis.call('HGET', KEYS[3], counted) and redis.call('HLEN', KEYS[3]) >= tonumber(ARGV[4]) then
      counted = '?'
    end
    redis.call('HINCRBY', KEYS[3], counted, 1)
  end
end

if seq == '' then
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[5], id)
else
  redis.call('HSET', KEYS[1], id, table.concat({seq, counted, unpack(ARGV, 11)}, '\n'))
  redis.call('ZADD', KEYS[5], 'GT', ARGV[7], id)
  redis.call('ZADD', KEYS[6], 'LT', ARGV[8], ARGV[10])
  redis.call('ZADD', KEYS[7], 'GT', ARGV[9], ARGV[10])
end
if ARGV[3] ~= '' and tonumber(redis.call('ZSCORE', KEYS[4], id) or '0') == tonumber(ARGV[3]) then
  redis.call('ZREM', KEYS[4], id)
end
return 1
