-- putback: empties a worker's hand, in slices, and with the last slice strikes the worker off. A dead one (mode reap) is
-- charged a stall; one that leaves of its own will (mode leave) is charged nothing. One script, so that a renewal and a
-- reaping cannot both succeed.
-- KEYS workers, active, meta, ready, suspect, parked, dead, promoter
-- ARGV incarnation, reap or leave, stalls that a job outlives, at most so many, at most so many bytes
-- Returns {1 = more is left, jobs put back}; nothing is done to a worker that is not due. Errors: WRONGTYPE,
-- NOPERM.
-- include: guard.lua
-- include: head.lua
-- include: renew.lua
-- include: permit.lua
local workers, active, meta, ready, suspect, parked, dead, promoter = unpack(KEYS)
local who, reap, max_stalls, max, budget = ARGV[1], ARGV[2] == 'reap', tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

on_full_server_too(workers)
local wrong = any_wrong_type({workers, 'zset', active, 'hash', meta, 'hash', ready, 'list', suspect, 'list',
  parked, 'hash', dead, 'zset', promoter, 'string'})
if wrong then return {err = wrong} end
local now = now_ms()
local mine = tonumber(call('ZSCORE', workers, who) or '')
if not mine then return {0, 0} end
if reap and not is_due(workers, who, now) then return {0, 0} end
if not reap and mine <= 0 then return {0, 0} end

-- Looking: the slice, newest first because each is pushed to the front.
local fields = call('HKEYS', active)
table.sort(fields, function(a, b) return a > b end)
local hand, bytes, holds_suspect = {}, 0, false
for i, field in ipairs(fields) do
  if i > max or bytes >= budget then break end
  local entry = call('HGET', active, field)
  bytes = bytes + #entry
  local _, _, s = head(entry)
  holds_suspect = holds_suspect or (s or 0) > 1
  hand[i] = entry
end

local no = denied({'zadd', workers, 'hset', parked, 'lpush', ready, 'hincrby', meta, 'get', promoter, 'del', promoter,
  'zcard', workers, 'zrem', workers, 'hdel', active})
if no then return no end

-- Moving. A worker being reaped can't come back between two slices: its deadline is 0.
if reap then call('ZADD', workers, 0, who) end
for _, entry in ipairs(hand) do
  local id, n, s, rest = head(entry)
  -- A death while holding a suspect charges only the suspect.
  local stalls = (reap and id and (s > 1 or not holds_suspect)) and 1 or 0
  if id and s + stalls > max_stalls then
    local why = ',"reason":"stalled","ended":' .. int(now)
    call('HSET', parked, id, with_head(id, n + 1, s + stalls, why, string.sub(entry, rest)))
    call('ZADD', dead, int(now), id)
  else
    local back, total = put_back(entry, stalls)
    call('LPUSH', total > 1 and suspect or ready, back)
  end
end
if reap then raise(meta, 'recovered', #hand) end
if not reap and call('GET', promoter) == who then call('DEL', promoter) end
local more = #fields > #hand
if not more then
  local left = call('ZCARD', workers) - 1
  for _, mark in ipairs({'@last', '@grace'}) do
    if call('ZSCORE', workers, mark) then left = left - 1 end
  end
  if left > 0 then call('ZREM', workers, who) else call('ZREM', workers, who, '@last', '@grace') end
end
sliced(#hand, function(from, to) call('HDEL', active, unpack(fields, from, to)) end)
return {more and 1 or 0, #hand}
