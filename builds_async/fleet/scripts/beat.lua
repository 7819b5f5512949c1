-- The heartbeat of a member: it renews its lease, lists the Workers that it follows, and gets free Workers up to its
-- fair share.
--
-- A heartbeat that changes nothing reads no Workers: the member repeats the version of the last reply, and the engine
-- has the same version, together with the number of Workers that it stands for.
--
-- KEYS: members (deadline by member), wants ("digest|version|number of Workers" by member),
--       workers ("fence|seq|holder|position" by Worker), held ("member|worker", in order), free (time by Worker),
--       fence (the last one given), news (a channel), known (the Workers of one digest)
-- ARGV: member, name (of all its incarnations, or empty), lease in ms, digest, the maximum number of Workers to take,
--       1 if the wanted Workers are listed (so the member may be new) or 0,
--       number of followed Workers or -1 for those of the version, version, time in us or empty,
--       worker and fence of each followed Worker, all wanted Workers if they are listed
-- Returns {0} if the member's lease has ended, {-1} if another incarnation has its name, {2} if the engine needs the
--       lists of followed and wanted Workers,
--       or {1, excess, ms until the lease of another member ends, version, members, {worker, fence, ...} taken,
--       workers gone}
local MEMBERS, WANTS, WORKERS, HELD, FREE, FENCE, NEWS, KNOWN = unpack(KEYS)
local me, name, lease, digest = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local most, joins, follows, version = tonumber(ARGV[5]), ARGV[6] == '1', tonumber(ARGV[7]), ARGV[8]
local us = tonumber(ARGV[9])
local FIRST = 10  -- the first argument after the fixed ones
local SLICE = 500  -- Workers in one call: the call itself costs more than its work
if not us then
  local t = redis.call('TIME')
  us = t[1] * 1000000 + t[2]
end
local now = math.floor(us / 1000)
local changed = false

local function parsed(value)
  return string.match(value or '0|0||', '^(%d+)|(%d+)|([^|]*)|(.*)$')
end
local function begins(text, start)  -- the rest of the text if it begins with `start`, else false
  return string.sub(text, 1, #start) == start and string.sub(text, #start + 1)
end
local function finish(reply)
  if changed then redis.call('PUBLISH', NEWS, '') end
  return reply
end
local function in_slices(list, act, first)
  for start = first or 1, #list, SLICE do act({unpack(list, start, math.min(start + SLICE - 1, #list))}) end
end
local function held_by(member)
  local workers = redis.call('ZRANGEBYLEX', HELD, '[' .. member .. '|', '(' .. member .. '}')
  for i, entry in ipairs(workers) do workers[i] = string.sub(entry, #member + 2) end
  return workers
end
local function free(member, list)
  in_slices(list, function(workers)
    local values, entries, times = redis.call('HMGET', WORKERS, unpack(workers)), {}, {}
    local fields = {}
    for i, worker in ipairs(workers) do
      local fence, seq, _, position = parsed(values[i])
      fields[2 * i - 1], fields[2 * i] = worker, fence .. '|' .. seq .. '||' .. position
      entries[i] = member .. '|' .. worker
      times[2 * i - 1], times[2 * i] = now, worker
    end
    redis.call('HSET', WORKERS, unpack(fields))
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
  in_slices(ARGV, function(workers)
    redis.call('SADD', KNOWN, unpack(workers))
    local values, times = redis.call('HMGET', WORKERS, unpack(workers)), {}
    for i, worker in ipairs(workers) do
      local _, _, holder = parsed(values[i])
      if holder == '' then times[#times + 1], times[#times + 2] = now, worker end
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
  -- Greater than all earlier fences, even if the engine has lost some of them: its clock in us is far ahead of any
  -- counter. `+ 1` covers a clock that was set back.
  last = math.max(us, math.max(last or tonumber(redis.call('GET', FENCE) or '0'), known) + 1)
  return string.format('%.0f', last)
end
local taken = {}
local function give(list)
  in_slices(list, function(workers)
    local values, fields, entries = redis.call('HMGET', WORKERS, unpack(workers)), {}, {}
    for i, worker in ipairs(workers) do
      local known, seq, _, position = parsed(values[i])
      local fence = next_fence(tonumber(known))
      fields[2 * i - 1], fields[2 * i] = worker, fence .. '|' .. seq .. '|' .. me .. '|' .. position
      entries[2 * i - 1], entries[2 * i] = 0, me .. '|' .. worker
      taken[#taken + 1] = worker
      taken[#taken + 1] = fence
    end
    redis.call('HSET', WORKERS, unpack(fields))
    redis.call('ZADD', HELD, unpack(entries))
    redis.call('ZREM', FREE, unpack(workers))
  end)
end

local gone = {}
if follows >= 0 then
  local followed, unwanted, unheard = {}, {}, {}
  for i = FIRST, FIRST + 2 * follows - 1, 2 do followed[ARGV[i]] = ARGV[i + 1] end
  mine = 0
  in_slices(held_by(me), function(workers)
    local values = redis.call('HMGET', WORKERS, unpack(workers))
    local known = redis.call('SMISMEMBER', KNOWN, unpack(workers))
    for i, worker in ipairs(workers) do
      if known[i] == 0 then
        unwanted[#unwanted + 1] = worker
      else
        mine = mine + 1
        -- A reply was lost: the member does not know that it has this Worker.
        if followed[worker] ~= string.match(values[i] or '', '^%d+') then unheard[#unheard + 1] = worker end
        followed[worker] = nil
      end
    end
  end)
  free(me, unwanted)
  give(unheard)
  for worker in pairs(followed) do gone[#gone + 1] = worker end
  table.sort(gone)
end

local members = redis.call('ZRANGE', MEMBERS, 0, -1, 'WITHSCORES')
local names, lapse = {}, 0
for i = 1, #members, 2 do
  names[#names + 1] = members[i]
  if members[i] ~= me and lapse == 0 then lapse = tonumber(members[i + 1]) - now end
end
-- The members that want the same Workers, this one included even if it has just joined.
local alike = before and begins(before, digest .. '|') and 0 or 1
for _, value in ipairs(redis.call('HVALS', WANTS)) do
  if begins(value, digest .. '|') then alike = alike + 1 end
end
local fair = math.ceil(redis.call('SCARD', KNOWN) / alike)
local start, wanted, chosen = 0, math.min(most, fair - mine), {}
while wanted > 0 do
  local workers = redis.call('ZRANGE', FREE, start, start + 99, 'WITHSCORES')
  if #workers == 0 then break end
  for i = 1, #workers, 2 do
    if redis.call('SISMEMBER', KNOWN, workers[i]) == 1 then
      if wanted > 0 then
        chosen[#chosen + 1] = workers[i]
        wanted, mine = wanted - 1, mine + 1
      end
      start = start + 1
    elseif tonumber(workers[i + 1]) < now - 240 * lease then
      redis.call('ZREM', FREE, workers[i])  -- no member has wanted it for a long time
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
