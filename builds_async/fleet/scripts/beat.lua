-- A member says that it is alive and what it follows; it gets what is free, up to its fair share.
--
-- A beat that changes nothing reads none of the units: the member repeats the version of the last reply, and the
-- engine has the same one, with the number of units that it stands for.
--
-- KEYS: members (deadline by member), wants ("digest|version|number of units" by member),
--       units ("fence|seq|holder|position" by unit), held ("member|unit", in order), free (time by unit),
--       fence (the last one given), news (a channel), known (the units of one digest)
-- ARGV: member, name (of all its incarnations, or empty), lease in ms, digest, most units to take,
--       1 if all units that it wants are said, number of followed units or -1 for those of the version, version,
--       time in us or empty, unit and fence of each followed unit, all units that it wants if the 1 says so
-- Returns {status, ...}: 0 the member is dead, -1 another incarnation has its name, 2 say all units again,
--       or {1, excess, ms until the next member is dead, version, members, {unit, fence, ...} taken, units gone}
local MEMBERS, WANTS, UNITS, HELD, FREE, FENCE, NEWS, KNOWN = unpack(KEYS)
local me, name, lease, digest = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local most, joins, follows, version = tonumber(ARGV[5]), ARGV[6] == '1', tonumber(ARGV[7]), ARGV[8]
local us = tonumber(ARGV[9])
local FIRST = 10
local SOME = 500  -- units in one call: a call from Lua costs more than its work
if not us then
  local t = redis.call('TIME')
  us = t[1] * 1000000 + t[2]
end
local now = math.floor(us / 1000)
local changed = false

local function parsed(value)
  return string.match(value or '0|0||', '^(%d+)|(%d+)|([^|]*)|(.*)$')
end
local function begins(text, start)  -- the rest of the text, if it does
  return string.sub(text, 1, #start) == start and string.sub(text, #start + 1)
end
local function finish(reply)
  if changed then redis.call('PUBLISH', NEWS, '') end
  return reply
end
local function in_slices(list, act, first)
  for start = first or 1, #list, SOME do act({unpack(list, start, math.min(start + SOME - 1, #list))}) end
end
local function held_by(member)
  local units = redis.call('ZRANGEBYLEX', HELD, '[' .. member .. '|', '(' .. member .. '}')
  for i, entry in ipairs(units) do units[i] = string.sub(entry, #member + 2) end
  return units
end
local function free(member, list)
  in_slices(list, function(units)
    local values, entries, times = redis.call('HMGET', UNITS, unpack(units)), {}, {}
    local fields = {}
    for i, unit in ipairs(units) do
      local fence, seq, _, position = parsed(values[i])
      fields[2 * i - 1], fields[2 * i] = unit, fence .. '|' .. seq .. '||' .. position
      entries[i] = member .. '|' .. unit
      times[2 * i - 1], times[2 * i] = now, unit
    end
    redis.call('HSET', UNITS, unpack(fields))
    redis.call('ZREM', HELD, unpack(entries))
    redis.call('ZADD', FREE, unpack(times))
    changed = true
  end)
end
local function bury(member)
  free(member, held_by(member))
  redis.call('ZREM', MEMBERS, member)
  redis.call('HDEL', WANTS, member)
  changed = true
end
local function namesakes()
  local found = {}
  for _, member in ipairs(name ~= '' and redis.call('ZRANGE', MEMBERS, 0, -1) or {}) do
    if member ~= me and begins(member, name .. '#') then found[#found + 1] = member end
  end
  return found
end

for _, member in ipairs(redis.call('ZRANGEBYSCORE', MEMBERS, '-inf', now)) do bury(member) end
local before = redis.call('HGET', WANTS, me)
if not before then
  if not joins then return finish({#namesakes() > 0 and -1 or 0}) end
  for _, member in ipairs(namesakes()) do bury(member) end
  changed = true
end
redis.call('ZADD', MEMBERS, now + lease, me)
if joins then
  in_slices(ARGV, function(units)
    redis.call('SADD', KNOWN, unpack(units))
    local values, times = redis.call('HMGET', UNITS, unpack(units)), {}
    for i, unit in ipairs(units) do
      local _, _, holder = parsed(values[i])
      if holder == '' then times[#times + 1], times[#times + 2] = now, unit end
    end
    if #times > 0 then redis.call('ZADD', FREE, 'NX', unpack(times)) end
  end, FIRST + 2 * follows)
end
local is_known = redis.call('PEXPIRE', KNOWN, 10 * lease) == 1 or joins
local mine = before and begins(before, digest .. '|' .. version .. '|')
if not is_known or (follows < 0 and not mine) then return finish({2}) end
mine = tonumber(mine)

local last
local function next_fence(known)
  -- Above every older one, even if the engine has forgotten some: its clock, or one more than the last.
  last = math.max(us, math.max(last or tonumber(redis.call('GET', FENCE) or '0'), known) + 1)
  return string.format('%.0f', last)
end
local taken = {}
local function give(list)
  in_slices(list, function(units)
    local values, fields, entries = redis.call('HMGET', UNITS, unpack(units)), {}, {}
    for i, unit in ipairs(units) do
      local known, seq, _, position = parsed(values[i])
      local fence = next_fence(tonumber(known))
      fields[2 * i - 1], fields[2 * i] = unit, fence .. '|' .. seq .. '|' .. me .. '|' .. position
      entries[2 * i - 1], entries[2 * i] = 0, me .. '|' .. unit
      taken[#taken + 1] = unit
      taken[#taken + 1] = fence
    end
    redis.call('HSET', UNITS, unpack(fields))
    redis.call('ZADD', HELD, unpack(entries))
    redis.call('ZREM', FREE, unpack(units))
  end)
end

local gone = {}
if follows >= 0 then
  local followed, unwanted, unheard = {}, {}, {}
  for i = FIRST, FIRST + 2 * follows - 1, 2 do followed[ARGV[i]] = ARGV[i + 1] end
  mine = 0
  in_slices(held_by(me), function(units)
    local values = redis.call('HMGET', UNITS, unpack(units))
    local known = redis.call('SMISMEMBER', KNOWN, unpack(units))
    for i, unit in ipairs(units) do
      if known[i] == 0 then
        unwanted[#unwanted + 1] = unit
      else
        mine = mine + 1
        -- An answer was lost: the member does not know that it has this unit.
        if followed[unit] ~= string.match(values[i] or '', '^%d+') then unheard[#unheard + 1] = unit end
        followed[unit] = nil
      end
    end
  end)
  free(me, unwanted)
  give(unheard)
  for unit in pairs(followed) do gone[#gone + 1] = unit end
  table.sort(gone)
end

local members = redis.call('ZRANGE', MEMBERS, 0, -1, 'WITHSCORES')
local names, lapse = {}, 0
for i = 1, #members, 2 do
  names[#names + 1] = members[i]
  if members[i] ~= me and lapse == 0 then lapse = tonumber(members[i + 1]) - now end
end
local alike = before and begins(before, digest .. '|') and 0 or 1
for _, value in ipairs(redis.call('HVALS', WANTS)) do
  if begins(value, digest .. '|') then alike = alike + 1 end
end
local fair = math.ceil(redis.call('SCARD', KNOWN) / alike)
local start, wanted, chosen = 0, math.min(most, fair - mine), {}
while wanted > 0 do
  local units = redis.call('ZRANGE', FREE, start, start + 99, 'WITHSCORES')
  if #units == 0 then break end
  for i = 1, #units, 2 do
    if redis.call('SISMEMBER', KNOWN, units[i]) == 1 then
      if wanted > 0 then
        chosen[#chosen + 1] = units[i]
        wanted, mine = wanted - 1, mine + 1
      end
      start = start + 1
    elseif tonumber(units[i + 1]) < now - 240 * lease then
      redis.call('ZREM', FREE, units[i])  -- nobody has wanted it for long
    else
      start = start + 1
    end
  end
end
give(chosen)
if follows >= 0 or #taken > 0 then
  version = next_fence(0)
  redis.call('SET', FENCE, version)
  redis.call('HSET', WANTS, me, digest .. '|' .. version .. '|' .. mine)
end
return finish({1, mine - fair, lapse, version, names, taken, gone})
