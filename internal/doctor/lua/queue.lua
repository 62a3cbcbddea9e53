-- queue: how a queue fares, at one instant. It writes nothing.
-- KEYS meta, ready, arrivals, suspect, scheduled, retry, dead, workers
-- Returns {1 = paused, waiting, suspects, ms that the first due job is late, dead, died within an hour, workers alive}.
-- Errors: WRONGTYPE.
-- include: guard.lua
local meta, ready, arrivals, suspect, scheduled, retry, dead, workers = unpack(KEYS)
local wrong = any_wrong_type({meta, 'hash', ready, 'list', arrivals, 'list', suspect, 'list', scheduled, 'zset',
  retry, 'zset', dead, 'zset', workers, 'zset'})
if wrong then return {err = wrong} end
local now, late = now_ms(), 0
for _, zset in ipairs({scheduled, retry}) do
  local first = call('ZRANGE', zset, 0, 0, 'WITHSCORES')
  if first[2] then late = math.max(late, now - tonumber(first[2])) end
end
local alive = call('ZCOUNT', workers, '(' .. int(now), '+inf')
if tonumber(call('ZSCORE', workers, '@grace') or '0') > now then alive = alive - 1 end
return {call('HGET', meta, 'paused') == '1' and 1 or 0, call('LLEN', ready) + call('LLEN', arrivals), call('LLEN', suspect),
  late, call('ZCARD', dead), call('ZCOUNT', dead, int(now - 3600000), '+inf'), alive}
