-- share_renew: sets the deadline of a holder. One script, and refused once the deadline has passed, because the place
-- may have been given away.
-- KEYS holders, reserved
-- ARGV member, TTL ms from now (0 = none)
-- Returns 1, or 0 where the member does not hold a place any more.
-- include: common.lua
local holders, reserved = unpack(KEYS)
local me, ttl = ARGV[1], tonumber(ARGV[2])
local now = now_ms()
local deadline = ttl > 0 and now + ttl or FOREVER
local last = 0
for _, member in ipairs(call('ZRANGE', holders, -2, -1)) do
  if member ~= me then last = math.max(last, tonumber(call('ZSCORE', holders, member))) end
end
if tonumber(call('ZSCORE', holders, me) or 0) <= now then return 0 end

on_full_server_too(reserved)
call('ZADD', holders, int(deadline), me)
last = math.max(last, deadline)
if last >= FOREVER then call('PERSIST', holders) else call('PEXPIREAT', holders, int(last + 1000)) end
return 1
