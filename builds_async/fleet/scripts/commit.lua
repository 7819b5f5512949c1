-- Save the position of a Worker, and append lines to a list, both or neither.
--
-- KEYS: workers, and the list if there is one.  ARGV: worker, fence, seq, position, lines...
-- Returns 1 if it is saved, 2 if it was saved before, -1 if a later owner has the Worker, -2 if seq is not the next.
local value = redis.call('HGET', KEYS[1], ARGV[1]) or '0|0||'
local fence, seq, holder = string.match(value, '^(%d+)|(%d+)|([^|]*)|')
if tonumber(ARGV[2]) < tonumber(fence) then return -1 end
if ARGV[3] == seq and ARGV[2] == fence then return 2 end
if tonumber(ARGV[3]) ~= tonumber(seq) + 1 then return -2 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. '|' .. ARGV[3] .. '|' .. holder .. '|' .. ARGV[4])
for i = 5, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[i]) end
return 1
