-- A member gives up some Workers, or leaves the group and gives up all of them.
--
-- KEYS: members, wants, workers, held, free, news: the same as in `beat.lua`.
-- ARGV: member, 1 if it leaves, time in us or empty, worker and fence of each Worker to give up.
-- Returns how many Workers are free now.
local me = ARGV[1]
local us = tonumber(ARGV[3])
if not us then
  local t = redis.call('TIME')
  us = t[1] * 1000000 + t[2]
end
local count = 0
local function free(worker, expected)
  local value = redis.call('HGET', KEYS[3], worker)
  if not value then return end
  local fence, seq, holder, position = string.match(value, '^(%d+)|(%d+)|([^|]*)|(.*)$')
  if holder ~= me or (expected and fence ~= expected) then return end
  redis.call('HSET', KEYS[3], worker, fence .. '|' .. seq .. '||' .. position)
  redis.call('ZREM', KEYS[4], me .. '|' .. worker)
  redis.call('ZADD', KEYS[5], math.floor(us / 1000), worker)
  count = count + 1
end
for i = 4, #ARGV, 2 do free(ARGV[i], ARGV[i + 1]) end
if ARGV[2] == '1' then
  for _, entry in ipairs(redis.call('ZRANGEBYLEX', KEYS[4], '[' .. me .. '|', '(' .. me .. '}')) do
    free(string.sub(entry, #me + 2))
  end
  redis.call('ZREM', KEYS[1], me)
  redis.call('HDEL', KEYS[2], me)
elseif count > 0 then
  -- The version no longer stands for the Workers that the member has: version 0 makes its next beat list them.
  local digest = string.match(redis.call('HGET', KEYS[2], me) or '', '^(.*)|%d+|%d+$')
  if digest then redis.call('HSET', KEYS[2], me, digest .. '|0|0') end
end
if count > 0 then redis.call('PUBLISH', KEYS[6], '') end
return count
