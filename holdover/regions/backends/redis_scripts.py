"""The atomic steps of `holdover.redis` as Lua, which the server runs in one step.

`redis_watching` has the same steps for servers that run no scripts: the same keys, the
same arguments, the same replies.
"""

from __future__ import annotations

from holdover.regions.backends.redis_records import FENCE, KINDS, RECORD_LENGTH, TOKEN
from holdover.regions.envelope import FENCE_FROM_END, FENCE_SIZE, MAGIC, TRAILER_SIZE
from holdover.regions.ticks import EPOCH_MASK, MOST_MARKS

# A tick is a whole number below 2^53, which Lua's numbers hold exactly. Without an
# epoch, a clock that is lost is nothing here, and is made elsewhere. A clock that is
# older than the floor has lost something, and begins anew above it.
_CLOCK = f"""
local CLOCK = '^(%d+) (%d+) (%d+) ([01])$'
local function at(epoch)
  local now = redis.call('TIME')
  local us = now[1] * 1000000 + now[2]
  return us - us % {EPOCH_MASK + 1} + epoch
end
local function seeded(name, marks, epoch, floor)
  if epoch == '' then return '' end
  local step = {EPOCH_MASK + 1}
  local tick = at(epoch)
  if tick <= floor then tick = floor - floor % step + step + epoch end
  tick = string.format('%.0f', tick)
  local clock = tick .. ' ' .. tick .. ' 0 0'
  redis.call('SET', name, clock)
  redis.call('DEL', marks)
  return clock
end
local function clock_at(name, marks, epoch)
  local clock = redis.pcall('GET', name)
  if type(clock) == 'string' and string.match(clock, CLOCK) then return clock end
  return seeded(name, marks, epoch, 0)
end
local function whole_clock_at(name, marks, epoch, floor)
  local clock = clock_at(name, marks, epoch)
  local torn = string.sub(clock, -1) == '1' and redis.call('EXISTS', marks) == 0
  if torn or tonumber(string.match(clock, '^%d+')) < tonumber(floor) then
    return seeded(name, marks, epoch, tonumber(floor))
  end
  return clock
end
"""

# The fence is at a constant distance from the end of what is stored: so a large value
# stays where it is unless it is wanted.
_FENCE = f"""
local function fence_at(name)
  local tail = redis.pcall('GETRANGE', name, -{TRAILER_SIZE}, -1)
  if type(tail) ~= 'string' or #tail == 0 then return '' end
  local magic = string.sub(tail, -{len(MAGIC)})
  if #tail < {TRAILER_SIZE} or magic ~= '{MAGIC.decode()}' then
    return string.rep('\\0', {FENCE_SIZE})
  end
  return string.sub(tail, -{FENCE_FROM_END}, -{FENCE_FROM_END} + {FENCE_SIZE - 1})
end
"""

_STORE = """
local function store(name, value, px)
  if px == '' then redis.call('SET', name, value)
  else redis.call('SET', name, value, 'PX', px) end
end
"""

_HELD = f"""
local function held_at(name)
  local held = redis.pcall('GET', name)
  return type(held) == 'string' and held
end
local function token_in(record)
  return record and string.sub(record, {TOKEN.start + 1}, {TOKEN.stop})
end
local function fence_in(record)
  return record and string.sub(record, {FENCE.start + 1}, {FENCE.stop})
end
"""

# KEYS value lease clock marks; ARGV seen record px overtaking epoch
ACQUIRE = f"""{_CLOCK}{_FENCE}{_HELD}
local fence = fence_at(KEYS[1])
if fence ~= '' and fence ~= ARGV[1] then
  local clock = clock_at(KEYS[3], KEYS[4], ARGV[5])
  return {{'changed', redis.call('GET', KEYS[1]), clock}}
end
local held = held_at(KEYS[2])
if held and #held >= {RECORD_LENGTH} and string.find(held, '^[{KINDS}]') then
  local left = redis.call('PTTL', KEYS[2])
  if left > 0 and not string.find(ARGV[4], string.sub(held, 1, 1), 1, true) then
    return {{'busy', held, left}}
  end
end
local clock = clock_at(KEYS[3], KEYS[4], ARGV[5])
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return {{'lease', clock}}
"""

# KEYS lease; ARGV token px
RENEW = f"""{_HELD}
if token_in(held_at(KEYS[1])) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

# KEYS lease clock marks; ARGV token new_token px epoch
ADOPT = f"""{_CLOCK}{_HELD}
local held = held_at(KEYS[1])
if token_in(held) ~= ARGV[1] then return false end
local clock = clock_at(KEYS[2], KEYS[3], ARGV[4])
redis.call('SET', KEYS[1], 'H' .. ARGV[2] .. fence_in(held), 'PX', ARGV[3])
return {{fence_in(held), clock}}
"""

# KEYS value lease clock marks; ARGV fence stored px epoch
COMMIT = f"""{_CLOCK}{_STORE}{_HELD}
if fence_in(held_at(KEYS[2])) ~= ARGV[1] then return false end
store(KEYS[1], ARGV[2], ARGV[3])
redis.call('DEL', KEYS[2])
return clock_at(KEYS[3], KEYS[4], ARGV[4])
"""

# KEYS lease; ARGV token
RELEASE = f"""{_HELD}
if token_in(held_at(KEYS[1])) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""

# KEYS lease; ARGV token record px
BACK_OFF = f"""{_HELD}
if token_in(held_at(KEYS[1])) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""

# KEYS value lease clock; ARGV tick stored px
# It makes no clock, so that there is little to run: a refusal is followed up.
WRITE = f"""{_STORE}
local clock = redis.pcall('GET', KEYS[3])
if type(clock) ~= 'string' then return '' end
if string.find(clock, ARGV[1] .. ' ', 1, true) == 1 then
  store(KEYS[1], ARGV[2], ARGV[3])
  redis.call('DEL', KEYS[2])
end
return clock
"""

# KEYS value lease; ARGV seen stored px
SWAP = f"""{_FENCE}{_STORE}
if fence_at(KEYS[1]) ~= ARGV[1] then return 0 end
store(KEYS[1], ARGV[2], ARGV[3])
redis.call('DEL', KEYS[2])
return 1
"""

# KEYS clock marks; ARGV epoch floor
SEED = f"""{_CLOCK}
return whole_clock_at(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
"""

# KEYS copy; ARGV record tick
PUBLISH = f"""{_CLOCK}
local there = redis.pcall('GET', KEYS[1])
local tick = type(there) == 'string' and string.match(there, CLOCK)
if not tick or tonumber(tick) < tonumber(ARGV[2]) then
  redis.call('SET', KEYS[1], ARGV[1])
end
return 1
"""

# KEYS clock marks; ARGV epoch floor hard mark...
# What a full server refuses (ZADD, SET) comes before what it does not, so that marks
# are never forgotten without a floor raised in their place.
ADVANCE = f"""{_CLOCK}
local name, marks = KEYS[1], KEYS[2]
local is_hard = ARGV[3] == '1'
local clock = whole_clock_at(name, marks, ARGV[1], ARGV[2])
local tick, hard, soft = string.match(clock, CLOCK)
tick, hard, soft = tonumber(tick), tonumber(hard), tonumber(soft)
tick = math.max(tick + {EPOCH_MASK + 1}, at(tick % {EPOCH_MASK + 1}))
for i = 4, #ARGV do
  redis.call('ZADD', marks, string.format('%.0f', tick), ARGV[i])
end
if #ARGV < 4 then
  soft = tick
  if is_hard then hard = tick end
end
local surplus = redis.call('ZCARD', marks) - {MOST_MARKS}
if surplus > 0 then
  local oldest = redis.call('ZRANGE', marks, 0, surplus - 1, 'WITHSCORES')
  for i = 1, #oldest, 2 do
    local forgotten = tonumber(oldest[i + 1])
    if string.sub(oldest[i], 1, 1) == 'h' then hard = math.max(hard, forgotten) end
    soft = math.max(soft, forgotten)
  end
end
local function text(number) return string.format('%.0f', number) end
local below = {{}}
local between = redis.call('ZRANGEBYSCORE', marks, '(' .. text(hard), text(soft))
for _, mark in ipairs(between) do
  if string.sub(mark, 1, 1) == 's' then below[#below + 1] = mark end
end
local kept = redis.call('ZCARD', marks) - #below
kept = kept - redis.call('ZCOUNT', marks, '-inf', text(hard))
clock = text(tick) .. ' ' .. text(hard) .. ' ' .. text(soft)
clock = clock .. (kept > 0 and ' 1' or ' 0')
redis.call('SET', name, clock)
redis.call('ZREMRANGEBYSCORE', marks, '-inf', text(hard))
for _, mark in ipairs(below) do redis.call('ZREM', marks, mark) end
return {{clock, kept, redis.call('ZRANGE', marks, 0, -1, 'WITHSCORES')}}
"""
