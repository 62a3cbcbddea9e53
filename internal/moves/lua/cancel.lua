-- cancel: ends a job by a person's order. A parked one ends here; for one that is ready or running a tombstone is left,
-- which take, settle and beat read. One script, so that a promotion cannot pass between looking and leaving it.
-- KEYS meta, scheduled, retry, dead, parked, cancelled
-- ARGV id, ms that a tombstone lives, channel, queue
-- Returns 'OK'. Errors: WRONGTYPE, NOPERM.
-- include: guard.lua
-- include: hint.lua
-- include: permit.lua
local meta, scheduled, retry, dead, parked, cancelled = unpack(KEYS)
local id, ttl, channel, queue = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]

on_full_server_too(scheduled)
local wrong = any_wrong_type({meta, 'hash', scheduled, 'zset', retry, 'zset', dead, 'zset', parked, 'hash', cancelled, 'zset'})
if wrong then return {err = wrong} end

local waits = call('ZSCORE', scheduled, id) and scheduled or call('ZSCORE', retry, id) and retry
if waits then
  local no = denied({'hincrby', meta, 'hdel', parked, 'zrem', waits})
  if no then return no end
  raise(meta, 'ended', 1)
  call('HDEL', parked, id)
  call('ZREM', waits, id)
elseif not call('ZSCORE', dead, id) then
  local now = now_ms()
  call('ZADD', cancelled, int(now + ttl), id)
  hint(channel, 'cancel ' .. queue)
end
return 'OK'
