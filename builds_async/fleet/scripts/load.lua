-- What is saved of a unit, and no smaller fence from now on.
--
-- KEYS: units.  ARGV: unit, fence.  Returns {seq, position}, or nothing if the unit has a later owner.
local value = redis.call('HGET', KEYS[1], ARGV[1]) or '0|0||'
local fence, seq, holder, position = string.match(value, '^(%d+)|(%d+)|([^|]*)|(.*)$')
if tonumber(ARGV[2]) < tonumber(fence) then return false end
if ARGV[2] ~= fence then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. '|' .. seq .. '|' .. holder .. '|' .. position)
end
return {tonumber(seq), position}
