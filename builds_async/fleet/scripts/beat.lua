-- A member says that it is alive and what it follows; it gets what is free, up to its fair share.
--
-- KEYS: members (deadline by member), wants (digest by member), units ("fence|seq|holder|position" by unit),
--       held ("member|unit", in order), free (time by unit), fence (the last one given), news (a channel),
--       known (the units of one digest)
-- ARGV: member, name (of all its incarnations, or empty), lease in ms, digest, most units to take,
--       1 if units follow and the member may be new, number of followed units, time in us or empty,
--       unit and fence of each followed unit, all units that the member wants if the 1 says so
-- Returns {status, ...}: 0 the member is dead, -1 another incarnation has its name, 2 say your units again,
--       or {1, excess, ms until the next member is dead, members, {unit, fence, ...} taken, units gone}
local me, name, lease, digest = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local most, joins, follows = tonumber(ARGV[5]), ARGV[6] == '1', tonumber(ARGV[7])
local us = tonumber(ARGV[8])
if not us then
  local t = redis.call('TIME')
  us = t[1] * 1000000 + t[2]
end
local now = math.floor(us / 1000)
local changed = false

local function parsed(unit)
  local value = redis.call('HGET', KEYS[3], unit)
  if not value then return '0', '0', '', '' end
  return string.match(value, '^(%d+)|(%d+)|([^|]*)|(.*)$')
end
local function held_by(member)
  return redis.call('ZRANGEBYLEX', KEYS[4], '[' .. member .. '|', '(' .. member .. '}')
end
local function free(member, unit)
  local fence, seq, _, position = parsed(unit)
  redis.call('HSET', KEYS[3], unit, fence .. '|' .. seq .. '||' .. position)
  redis.call('ZREM', KEYS[4], member .. '|' .. unit)
  redis.call('ZADD', KEYS[5], now, unit)
  changed = true
end
local function bury(member)
  for _, entry in ipairs(held_by(member)) do free(member, string.sub(entry, #member + 2)) end
  redis.call('ZREM', KEYS[1], member)
  redis.call('HDEL', KEYS[2], member)
  changed = true
end
local function is_namesake(member)
  return name ~= '' and member ~= me and string.sub(member, 1, #name + 1) == name .. '#'
end

for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do bury(member) end
local is_member = redis.call('ZSCORE', KEYS[1], me)
if not is_member and not joins then
  if changed then redis.call('PUBLISH', KEYS[7], '') end
  for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    if is_namesake(member) then return {-1} end
  end
  return {0}
end
if not is_member then
  for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    if is_namesake(member) then bury(member) end
  end
  changed = true
end
redis.call('ZADD', KEYS[1], now + lease, me)
redis.call('HSET', KEYS[2], me, digest)

local first = 9 + 2 * follows
if joins then
  for i = first, #ARGV do
    redis.call('SADD', KEYS[8], ARGV[i])
    local _, _, holder = parsed(ARGV[i])
    if holder == '' then redis.call('ZADD', KEYS[5], 'NX', now, ARGV[i]) end
  end
elseif redis.call('EXISTS', KEYS[8]) == 0 then
  return {2}
end
redis.call('PEXPIRE', KEYS[8], 10 * lease)

local taken, gone, followed = {}, {}, {}
local function give(unit)
  local before, seq, _, position = parsed(unit)
  -- Above every older one, even if the engine has forgotten some: its clock, or one more than the last.
  local last = math.max(tonumber(redis.call('GET', KEYS[6]) or '0'), tonumber(before))
  local fence = string.format('%.0f', math.max(us, last + 1))
  redis.call('SET', KEYS[6], fence)
  redis.call('HSET', KEYS[3], unit, fence .. '|' .. seq .. '|' .. me .. '|' .. position)
  redis.call('ZADD', KEYS[4], 0, me .. '|' .. unit)
  redis.call('ZREM', KEYS[5], unit)
  taken[#taken + 1] = unit
  taken[#taken + 1] = fence
end
for i = 9, first - 1, 2 do followed[ARGV[i]] = ARGV[i + 1] end
local mine = 0
local holds = held_by(me)
for start = 1, #holds, 500 do  -- one call for many: a call from Lua costs more than the work
  local units = {}
  for i = start, math.min(start + 499, #holds) do units[#units + 1] = string.sub(holds[i], #me + 2) end
  local values = redis.call('HMGET', KEYS[3], unpack(units))
  local known = redis.call('SMISMEMBER', KEYS[8], unpack(units))
  for i, unit in ipairs(units) do
    if known[i] == 0 then
      free(me, unit)
    else
      mine = mine + 1
      local fence = values[i] and string.match(values[i], '^%d+')
      -- An answer was lost: the member does not know that it has this unit.
      if followed[unit] ~= fence then give(unit) end
      followed[unit] = nil
    end
  end
end
for unit in pairs(followed) do gone[#gone + 1] = unit end
table.sort(gone)

local members = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
local names, alike, lapse = {}, 0, 0
for i = 1, #members, 2 do
  names[#names + 1] = members[i]
  if redis.call('HGET', KEYS[2], members[i]) == digest then alike = alike + 1 end
  if members[i] ~= me and lapse == 0 then lapse = tonumber(members[i + 1]) - now end
end
local fair = math.ceil(redis.call('SCARD', KEYS[8]) / alike)
local start, wanted = 0, math.min(most, fair - mine)
while wanted > 0 do
  local units = redis.call('ZRANGE', KEYS[5], start, start + 99, 'WITHSCORES')
  if #units == 0 then break end
  for i = 1, #units, 2 do
    if redis.call('SISMEMBER', KEYS[8], units[i]) == 1 then
      if wanted > 0 then
        give(units[i])
        wanted, mine = wanted - 1, mine + 1
      end
    elseif tonumber(units[i + 1]) < now - 240 * lease then
      redis.call('ZREM', KEYS[5], units[i])  -- nobody has wanted it for long
    else
      start = start + 1
    end
  end
end
if changed then redis.call('PUBLISH', KEYS[7], '') end
return {1, mine - fair, lapse, names, taken, gone}
