-- break: takes a lock away from whoever holds it, and wakes the next in line. The holder finds out at its next renewal,
-- or when it releases. It only removes, so it runs on a full server.
-- KEYS token, holders, waiters
-- ARGV channel prefix
-- Returns how many held it.
-- include: common.lua
local token, holders, waiters = unpack(KEYS)
local held = call('EXISTS', token)
local shared = call('ZCOUNT', holders, '(' .. int(now_ms()), '+inf')
local queue = first_waiters(waiters, '')
call('DEL', token, holders)
wake(waiters, queue, ARGV[1], {})
return held + shared
