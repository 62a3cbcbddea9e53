-- share_release: gives up a holder's place, takes a waiter out of the line, and wakes the next one: the writer that
-- readers stand back for, else the first in line. It only removes, so it runs on a full server.
-- KEYS holders, waiters, intent
-- ARGV member, waiter that leaves the line ('' = none), channel prefix
-- Returns 1 = released, 0 = the member holds nothing but others do, -1 = nobody does.
-- include: common.lua
local holders, waiters, intent = unpack(KEYS)
local me, waiter, channel = unpack(ARGV)
local now = now_ms()

local deadline = call('ZSCORE', holders, me)
local live = call('ZCOUNT', holders, '(' .. int(now), '+inf')
local wish, queue = call('GET', intent), first_waiters(waiters, waiter)
local queued = waiter ~= '' and call('ZSCORE', waiters, waiter)
local was_woken = waiter ~= '' and not queued
local mine = deadline and tonumber(deadline) > now

if deadline then call('ZREM', holders, me) end
if waiter ~= '' and wish == waiter then
  call('DEL', intent)
  wish, was_woken = false, true -- whoever stood back for it has to be told
end
local others = live - (mine and 1 or 0)
if wish then queue = others == 0 and {wish} or {} end
if not mine and not was_woken then queue = {} end
wake(waiters, queue, channel, queued and {waiter} or {})
if mine then return 1 end
return others > 0 and 0 or -1
