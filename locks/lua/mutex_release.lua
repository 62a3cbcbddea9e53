-- mutex_release: frees a mutex that this token holds, takes a waiter out of the line, and wakes the next one. It must be
-- one script because only the holder may free the lock. A waiter that was woken as it gave up passes the wake-up on.
-- It only removes, so it runs on a full server.
-- KEYS token, waiters
-- ARGV token, waiter that leaves the line ('' = none), channel prefix
-- Returns 1 = released, 0 = another holds it, -1 = nobody does.
-- include: common.lua
local token, waiters = unpack(KEYS)
local me, waiter, channel = unpack(ARGV)

local holder, queue = call('GET', token), first_waiters(waiters, waiter)
local mine = holder == me
local queued = waiter ~= '' and call('ZSCORE', waiters, waiter)
local was_woken = waiter ~= '' and not queued

if mine then call('DEL', token) end
if not mine and (holder or not was_woken) then queue = {} end
wake(waiters, queue, channel, queued and {waiter} or {})
if mine then return 1 end
return holder and 0 or -1
