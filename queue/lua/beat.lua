-- beat: renews a worker's lease, puts back what waits in arrivals, and looks around for it.
-- KEYS workers, meta, ready, arrivals, suspect, cancelled, active, scheduled, retry, promoter
-- ARGV incarnation, lease in ms, 1 = join, ms that a promoter's office lasts, at most so many bytes
-- Returns {paused, hand, suspects, workers, waiting, 1 = promoter, ms until the next job is due (-1 = none), {who is to
-- be reaped}, {held fields that were cancelled}, what was not looked after or ''}. Errors: LOST, WRONGTYPE (of workers), NOPERM.
-- include: guard.lua
-- include: renew.lua
-- include: hint.lua
-- include: permit.lua
local workers, meta, ready, arrivals, suspect, cancelled, active, scheduled, retry, promoter = unpack(KEYS)
local me, lease, join, office, budget = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', ARGV[4], tonumber(ARGV[5])

on_full_server_too(workers)
local wrong = wrong_type(workers, 'zset')
if wrong then return {err = wrong} end
local now = now_ms()
local grace = renew(workers, me, lease, now, join)
if not grace then return {err = 'LOST this worker was reaped'} end

-- Each concern below looks at its own keys: one that holds a wrong type stops that concern and is told of, no other.
local trouble = ''
local function fine(keys)
  local bad = any_wrong_type(keys)
  if bad then trouble = bad end
  return not bad
end

-- What a wait has popped and no take has delivered goes back to the front: its worker may be stopped.
local waiting, suspects = 0, 0
if fine({ready, 'list', arrivals, 'list', suspect, 'list'}) then
  local back, bytes = {}, 0
  for _, entry in ipairs(call('LRANGE', arrivals, 0, 99)) do
    if bytes >= budget then break end
    back[#back + 1] = entry
    bytes = bytes + #entry
  end
  waiting, suspects = call('LLEN', ready) + call('LLEN', arrivals), call('LLEN', suspect)
  local no = #back > 0 and denied({'lpush', ready, 'ltrim', arrivals})
  if no then return no end
  for i = #back, 1, -1 do call('LPUSH', ready, back[i]) end
  if #back > 0 then call('LTRIM', arrivals, #back, -1) end
end

local dead = {}
if now >= grace then
  for _, w in ipairs(call('ZRANGEBYSCORE', workers, '-inf', int(now), 'LIMIT', 0, 10)) do
    if string.sub(w, 1, 1) ~= '@' then dead[#dead + 1] = w end
  end
end

-- Tombstones that have expired go when no job waits that one could be for.
local stop, hand = {}, 0
if fine({cancelled, 'zset', active, 'hash'}) then
  hand = call('HLEN', active)
  if call('ZCARD', cancelled) > 0 then
    for _, field in ipairs(call('HKEYS', active)) do
      if call('ZSCORE', cancelled, string.sub(field, 1, 26)) then stop[#stop + 1] = field end
    end
    if waiting + suspects == 0 and trouble == '' then call('ZREMRANGEBYSCORE', cancelled, '-inf', int(now)) end
  end
end

local promotes
if fine({promoter, 'string'}) then
  promotes = call('GET', promoter)
  if not promotes or promotes == me then
    call('SET', promoter, me, 'PX', office)
    promotes = me
  end
end
local due = math.huge
if fine({scheduled, 'zset', retry, 'zset'}) then
  due = math.min(first_due(scheduled) or due, first_due(retry) or due)
end
local paused = fine({meta, 'hash'}) and call('HGET', meta, 'paused') == '1'
local alive = call('ZCOUNT', workers, '(' .. int(now), '+inf')
if grace > now then alive = alive - 1 end -- @grace
return {paused and 1 or 0, hand, suspects, alive, waiting, promotes == me and 1 or 0,
  due < math.huge and math.max(due - now, 0) or -1, dead, stop, trouble}
