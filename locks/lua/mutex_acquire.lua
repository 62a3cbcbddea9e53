-- mutex_acquire: takes a mutex, or joins the line of those who wait for it. It must be one script because the holder and
-- its fence have to appear together, and because nobody may release between "taken" and "in line".
-- A value that is already this token is a resend after a lost reply: it answers as the first one did.
-- KEYS token, fence, waiters
-- ARGV token, TTL ms (0 = none), previous token, which alone may be replaced ('' = the lock must be free), waiter ('' = do not join the line),
--      arrival ms ('0' = now), ms for which the line outlives its last newcomer
-- Returns {1, fence}, or {0, ms until the holder's TTL ends (-1 = never), arrival}.
-- include: common.lua
local token, fence, waiters = unpack(KEYS)
local me, ttl, previous, waiter, arrival, patience = unpack(ARGV)

local holder, stored = call('GET', token), call('GET', fence)
local queued = waiter ~= '' and call('ZSCORE', waiters, waiter)
local now = now_ms()

if holder == me and stored then return {1, tonumber(stored)} end
if (holder or '') ~= previous and holder ~= me then
  local left = holder and call('PTTL', token) or 0
  if waiter == '' then return {0, left, 0} end
  return {0, left, wait_in_line(waiters, waiter, arrival, patience, now)}
end

local mine = next_fence(stored, now)
write_fence(fence, mine, now)
if tonumber(ttl) > 0 then call('SET', token, me, 'PX', ttl) else call('SET', token, me) end
if queued then call('ZREM', waiters, waiter) end
return {1, mine}
