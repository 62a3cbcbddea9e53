-- prune: removes the tombstones that have expired.
-- KEYS cancelled
-- Returns how many. Errors: WRONGTYPE.
-- include: guard.lua
on_full_server_too(KEYS[1])
local wrong = wrong_type(KEYS[1], 'zset')
if wrong then return {err = wrong} end
return call('ZREMRANGEBYSCORE', KEYS[1], '-inf', int(now_ms()))
