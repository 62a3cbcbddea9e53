-- enroll: a hand without a worker gets one that is to be reaped, so the next beat of anybody puts its jobs back, by the
-- same rules as after any worker's death. Whoever still thinks that the hand is his is told that he lost it.
-- KEYS workers, hand
-- ARGV incarnation
-- Returns 1, or 0 when there was nothing to do. Errors: WRONGTYPE.
-- include: guard.lua
on_full_server_too(KEYS[1])
local wrong = any_wrong_type({KEYS[1], 'zset', KEYS[2], 'hash'})
if wrong then return {err = wrong} end
if call('HLEN', KEYS[2]) == 0 or call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
call('ZADD', KEYS[1], 0, ARGV[1])
return 1
