-- counts: how many jobs lie where, at one instant.
-- KEYS meta, ready, arrivals, suspect, scheduled, retry, dead, done, workers, the active hash of each worker…
-- Returns {ready, active, suspect, scheduled, retry, dead, done, due, {meta}, {workers}}; the caller asks again when the
-- workers are not those whose keys it gave. Errors: WRONGTYPE.
-- include: guard.lua
local meta, ready, arrivals, suspect, scheduled, retry, dead, done, workers = unpack(KEYS, 1, 9)
local wrong = any_wrong_type({meta, 'hash', ready, 'list', arrivals, 'list', suspect, 'list', scheduled, 'zset',
  retry, 'zset', dead, 'zset', done, 'zset', workers, 'zset'})
if wrong then return {err = wrong} end
local now = int(now_ms())
local active = 0
for i = 10, #KEYS do active = active + call('HLEN', KEYS[i]) end
return {call('LLEN', ready) + call('LLEN', arrivals), active, call('LLEN', suspect), call('ZCARD', scheduled),
  call('ZCARD', retry), call('ZCARD', dead), call('ZCARD', done),
  call('ZCOUNT', scheduled, '-inf', now) + call('ZCOUNT', retry, '-inf', now),
  call('HGETALL', meta), call('ZRANGE', workers, 0, -1)}
