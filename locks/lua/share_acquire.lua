-- share_acquire: takes a slot of a semaphore, or a reader-writer lock for reading or writing, or joins the line. Holders
-- lie in a sorted set by the deadline of their own lease, so one that died frees its place by itself and there is no
-- counter that could drift. It must be one script because counting and joining have to be one step.
-- A writer that waits leaves its intent, for which new readers stand back. A holder that asks again (a resend after a
-- lost reply) gets a new deadline and a new fence: nobody has seen the first.
-- KEYS holders, fence, waiters, intent
-- ARGV member (a mode letter and the token), TTL ms (0 = none), previous member, which alone may be replaced ('' = none),
--      waiter ('' = do not join the line), arrival ms ('0' = now), ms for which the line outlives its last newcomer,
--      mode (slot, read, write), slots, channel prefix
-- Returns {1, fence}, or {0, ms until the deadline that matters ends (-1 = never), arrival}.
-- include: common.lua
local holders, fence, waiters, intent = unpack(KEYS)
local me, ttl, previous, waiter, arrival, patience, mode, slots, channel = unpack(ARGV)
local now = now_ms()
local future = '(' .. int(now)

local function is_live(member) return tonumber(call('ZSCORE', holders, member) or 0) > now end

local live = call('ZCOUNT', holders, future, '+inf')
local first = call('ZRANGEBYSCORE', holders, future, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local last = tonumber(call('ZRANGE', holders, -1, -1, 'WITHSCORES')[2] or 0)
local mine, replaces = is_live(me), previous ~= '' and is_live(previous)
local stored, wish = call('GET', fence), call('GET', intent)
local queue = first_waiters(waiters, waiter)
local queued = waiter ~= '' and call('ZSCORE', waiters, waiter)

local is_free, frees_at
if mine or previous ~= '' then
  is_free, frees_at = mine or replaces, now
elseif mode == 'slot' then
  is_free, frees_at = live < tonumber(slots), tonumber(first[2])
elseif mode == 'write' then
  is_free, frees_at = live == 0, last
elseif first[1] and string.sub(first[1], 1, 1) == 'w' then
  is_free, frees_at = false, tonumber(first[2])
else
  is_free, frees_at = not wish, wish and now + math.max(call('PTTL', intent), 0)
end

if not is_free then
  local left = frees_at >= FOREVER and -1 or frees_at - now
  if waiter == '' then return {0, left, 0} end
  local place = wait_in_line(waiters, waiter, arrival, patience, now)
  if mode == 'write' then
    if wish == waiter then pcall_('PEXPIRE', intent, patience) -- it still waits: readers go on standing back
    else pcall_('SET', intent, waiter, 'NX', 'PX', patience) end
  end
  return {0, left, place}
end

local grant = next_fence(stored, now)
local deadline = tonumber(ttl) > 0 and now + tonumber(ttl) or FOREVER
write_fence(fence, grant, now)
call('ZADD', holders, int(deadline), me)
if replaces and previous ~= me then call('ZREM', holders, previous) end
call('ZREMRANGEBYSCORE', holders, '-inf', int(now))
last = math.max(last, deadline)
if last >= FOREVER then call('PERSIST', holders) else call('PEXPIREAT', holders, int(last + 1000)) end
if wish and wish == waiter then call('DEL', intent) end

local readers = {} -- those that stand in line behind a reader may come in, too
for _, w in ipairs(mode == 'read' and queue or {}) do
  if string.sub(w, 1, 1) ~= 'r' then break end
  readers[#readers + 1] = w
end
wake(waiters, readers, channel, queued and {waiter} or {})
return {1, grant}
