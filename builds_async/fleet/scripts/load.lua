-- Return what is saved for a Worker, and refuse smaller fences from now on.
--
-- KEYS: workers.  ARGV: worker, fence.  Returns {seq, position}, or nothing if the Worker has a later owner.
local value = redis.call('HGET', KEYS[1], ARGV[1]) or '0|0||'
local fence, seq, holder, position = string.match(value, '^(%d+)|(%d+)|([^|]*)|(.*)$')
if tonumber(ARGV[2]) < tonumber(fence) then return false end
if ARGV[2] ~= fence then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. '|' .. seq .. '|' .. holder .. '|' .. position)
end
return {tonumber(seq), position}
