-- The claim of a member: it reports the requests that it has sent and the tokens that it has, and gets more tokens.
-- A token is the right to send one request.
--
-- A claim has totals and states, never changes, so a call that is repeated after a lost reply counts once. All times
-- are milliseconds of this engine's clock. Everything is read and computed before the first write: a script is atomic,
-- but an error halfway would not undo its writes.
--
-- Each call from Lua costs some microseconds, so one hash has the sums, what each member holds ("h|"), its total
-- ("t|"), its weight among the members that poll ("p|"), and the requests of each bucket ("c|").
--
-- `lease.py` encodes the arguments, and `memory.py` is the same in Python.

local STATE, ENDS, DEADLINES, HEARD, BORN = unpack(KEYS)
local me = ARGV[1]
local n = {}
for i = 2, #ARGV do n[i - 1] = tonumber(ARGV[i]) end
local want, want_polls, weight, total, in_flight, unused = n[1], n[2], n[3], n[4], n[5], n[6]
local capacity, window, session, timeout = n[7], n[8], n[9], n[10]
local close, api_left, api_left_for, joining, leaving, now = n[11], n[12], n[13], n[14], n[15], n[16]
local FIRST_AGE = 17
if now == 0 then
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local step = math.max(50, math.floor(window / 60))

local s = redis.call('HMGET', STATE, 'spent', 'held', 'closed', 'left', 'left_until', 'probe', 'probe_until',
  'renewed', 'polling', 't|' .. me, 'h|' .. me, 'p|' .. me)
local polling, known, mine = tonumber(s[9] or '0'), s[10], s[11]
local weight_before = tonumber(s[12] or '0')
if not known and joining == 0 and leaving == 0 then return {1} end

local born = redis.call('GET', BORN)
born = born and tonumber(born) or now
local spent, held, closed = tonumber(s[1] or '0'), tonumber(s[2] or '0'), tonumber(s[3] or '0')
-- By the API's headers: how many requests are left, and until when that holds.
local left, left_until = tonumber(s[4] or '0'), tonumber(s[5] or '0')
local renewed = tonumber(s[8] or '0')
local probe, probe_until = s[6] or '', tonumber(s[7] or '0')

-- A request counts until one window after its response, because the server counts it at some time before that. To
-- save memory, all responses of one step of the window are one bucket, and count as if at its end.
local over = redis.call('ZRANGEBYSCORE', ENDS, '-inf', now)
local dropped = {}  -- fields of the state
for i = 1, #over do
  dropped[i] = 'c|' .. over[i]
  spent = spent - tonumber(redis.call('HGET', STATE, dropped[i]))
end
local was_empty = spent == 0
local charges = {}
local function charge(at, count)
  local bucket = math.ceil(at / step) * step
  if count > 0 and bucket + window > now then
    charges[bucket] = (charges[bucket] or 0) + count
    spent = spent + count
  end
end

-- A member that missed its deadline may have used all its tokens just before. So they count as requests that were
-- sent at the deadline, and whose responses came one timeout later, which is the latest possible time.
local before = tonumber(mine or '0')
local late = redis.call('ZRANGEBYSCORE', DEADLINES, '-inf', now, 'WITHSCORES')
local alive = redis.call('ZCARD', DEADLINES) - #late / 2
for i = 1, #late, 2 do
  local of = redis.call('HMGET', STATE, 'h|' .. late[i], 'p|' .. late[i])
  charge(tonumber(late[i + 1]) + timeout, tonumber(of[1]))
  held, polling = held - of[1], polling - of[2]
  if late[i] == me then mine, before, weight_before = false, 0, 0 end
end

local newcomer = total == 0 and in_flight == 0 and unused == 0 and #n < FIRST_AGE
local answered = known and math.max(0, total - tonumber(known)) or 0
charge(now, answered)
if not known then
  for i = FIRST_AGE, #n, 2 do charge(now - n[i], n[i + 1]) end
end
left = left - answered
if leaving == 1 then
  charge(now + timeout, in_flight)
  in_flight, unused, want, want_polls, weight = 0, 0, 0, 0, 0
end
local keep = in_flight + unused
held = held + keep - before
polling = polling + weight - weight_before
if mine then alive = alive - 1 end
if leaving == 0 then alive = alive + 1 end

-- A 429 closes the gate for all members. Then one member sends one request, the probe; its response opens the gate.
local publish = false
if close > 0 then
  if now + close > closed then closed, publish = now + close, true end
  probe, probe_until = 'due', 0
end
if probe == me then
  if in_flight == 0 and unused == 0 then probe = answered > 0 and '' or 'due' end
elseif probe ~= '' and probe ~= 'due' and probe_until <= now then
  probe = 'due'
end

-- The API's own headers also count the requests of other tools, and those that this engine has forgotten.
if api_left >= 0 and (left_until <= now or api_left < left) then left, left_until = api_left, now + api_left_for end
local free = capacity - spent - held
-- In the engine's first window some members may not have reported their requests yet: a tenth is kept for them.
local unheard = now < born + window and math.floor(capacity / 10) or 0
if left_until > now then free = math.min(free, left - held - unheard) end

local grant, polls, wait = 0, 0, 0
local in_grace = now < born + session and left_until <= now
if now >= closed and leaving == 0 then
  if probe ~= '' then
    if probe == 'due' and free > 0 and want + want_polls > 0 then
      if want > 0 then grant = 1 else polls = 1 end
      probe, probe_until = me, now + session + timeout
    end
  elseif in_grace then
    -- The engine is empty: no tokens until all members have reported their requests. A newcomer has sent none, so it
    -- gets one token at once.
    if newcomer then grant = math.max(0, math.min(want, 1, free)) end
  else
    -- At most half of an equal share of the free tokens, so that members which ask later also get some, but at
    -- least one. Polls leave a tenth of the capacity to single calls.
    local share = 2 * alive
    grant = math.max(0, math.min(want, math.max(1, math.floor(free / share)), free))
    local free_polls = free - grant - math.max(1, math.floor(capacity / 10))
    polls = math.max(0, math.min(want_polls, math.max(1, math.floor(free_polls / share)), free_polls))
  end
end
free = free - grant - polls
held = held + grant + polls

-- From here on there are only writes. A write that may create a key renews the expiry of all keys.
local remembered = window + 2 * session + timeout + step
local renew = not mine or now - renewed >= remembered / 2
if #over > 0 then redis.call('ZREM', ENDS, unpack(over)) end
for bucket, count in pairs(charges) do
  local name = string.format('%d', bucket)
  redis.call('ZADD', ENDS, bucket + window, name)
  redis.call('HINCRBY', STATE, 'c|' .. name, count)
  if was_empty then renew = true end
end
for i = 1, #late, 2 do
  dropped[#dropped + 1] = 'h|' .. late[i]
  dropped[#dropped + 1] = 'p|' .. late[i]
  redis.call('ZREM', DEADLINES, late[i])
end
if leaving == 1 then
  dropped[#dropped + 1] = 'h|' .. me
  dropped[#dropped + 1] = 'p|' .. me
  dropped[#dropped + 1] = 't|' .. me
  redis.call('ZREM', DEADLINES, me)
  redis.call('ZREM', HEARD, me)
else
  redis.call('ZADD', DEADLINES, now + session, me)
  redis.call('ZADD', HEARD, now, me)
end
-- The total of a silent member is kept until all requests in it have left the window. Otherwise they would count
-- again when the member comes back.
local silent = redis.call('ZRANGEBYSCORE', HEARD, '-inf', now - remembered)
if #silent > 0 then redis.call('ZREM', HEARD, unpack(silent)) end
for i = 1, #silent do dropped[#dropped + 1] = 't|' .. silent[i] end
if #dropped > 0 then redis.call('HDEL', STATE, unpack(dropped)) end
local fields = {'spent', spent, 'held', held, 'closed', closed, 'left', left, 'left_until', left_until,
  'probe', probe, 'probe_until', probe_until, 'renewed', renew and now or renewed, 'polling', polling}
if leaving == 0 then
  for _, it in ipairs({'h|' .. me, keep + grant + polls, 't|' .. me, total, 'p|' .. me, weight}) do
    fields[#fields + 1] = it
  end
end
redis.call('HSET', STATE, unpack(fields))
if renew then
  for i = 1, #KEYS - 1 do redis.call('PEXPIRE', KEYS[i], 2 * remembered) end
  redis.call('SET', BORN, born)
end
if publish then redis.call('PUBLISH', STATE, closed - now) end

if grant + polls < want + want_polls then
  local first = redis.call('ZRANGE', ENDS, 0, 0, 'WITHSCORES')
  if now < closed then wait = closed - now
  elseif probe ~= '' then wait = 250  -- the response to the probe may come at any time
  elseif in_grace then wait = born + session - now
  elseif first[2] then wait = tonumber(first[2]) - now
  else wait = 250 end
  wait = math.max(10, wait)  -- a shorter pause would only cost claims
end
return {0, grant, polls, math.max(0, closed - now), alive, polling, free, wait, probe == me and 1 or 0}
