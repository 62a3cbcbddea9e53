-- take: moves jobs into a worker's hand. One script, so that a job is in the line or in the hand, never in both or
-- neither, and so that nobody takes without a lease, from a paused queue, or a job that was cancelled.
-- KEYS workers, meta, active, cancelled, suspect, arrivals, ready, parked, dead
-- ARGV incarnation, at most so many, at most so many bytes, a fresh id, 1 = the worker holds nothing of any queue
-- Returns {1 = there is more, 1 = a suspect, entry, entry, …}. Errors: LOST, LATE, PAUSED, WRONGTYPE, NOPERM.
-- include: guard.lua
-- include: head.lua
-- include: foreign.lua
-- include: permit.lua
local workers, meta, active, cancelled, suspect, arrivals, ready, parked, dead = unpack(KEYS)
local me, max, budget, fresh, alone = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5] == '1'

on_full_server_too(workers)
local wrong = any_wrong_type({workers, 'zset', meta, 'hash', active, 'hash', cancelled, 'zset', suspect, 'list',
  arrivals, 'list', ready, 'list', parked, 'hash', dead, 'zset'})
if wrong then return {err = wrong} end
local now = now_ms()
local deadline = tonumber(call('ZSCORE', workers, me) or 0)
if deadline <= 0 then return {err = 'LOST this worker was reaped'} end
if deadline <= now then return {err = 'LATE the lease has run out and may be renewed'} end
if call('HGET', meta, 'paused') == '1' then return {err = 'PAUSED'} end

-- Looking: what of the lines is delivered, dead or cancelled.
local tombs = call('ZCARD', cancelled) > 0
local fields, entries, bytes = {}, {}, 0
local junk, tombed, counted = {}, {}, 0

local function judge(entry)
  local id, n = head_text(entry)
  if not id then
    counted = counted + 1
    -- The time and the end of the fresh id: ids of one millisecond and process differ in their last digits alone.
    local made = string.sub(fresh, 1, 10) .. string.sub(fresh, -12) .. string.format('%04d', counted)
    local as
    id, as = canonical(entry, made)
    if not id then
      junk[#junk + 1] = {made, unreadable(made, entry, now)}
      return
    end
    n, entry = '1', as
  end
  if tombs and call('ZSCORE', cancelled, id) then
    tombed[#tombed + 1] = id
    return
  end
  fields[#fields + 1] = id .. ':' .. n
  fields[#fields + 1] = entry
  entries[#entries + 1] = entry
end

-- Judges a line from its left until enough is found; returns how many of its entries that used. It reads in steps of
-- what the byte budget can hold, so that large entries are not read in vain.
local function walk(line, enough)
  local used, step = 0, 8
  while #entries < enough and bytes < budget and used < 1000 do
    local got = call('LRANGE', line, used, used + math.min(step, enough - #entries) - 1)
    if #got == 0 then break end
    for _, entry in ipairs(got) do
      if bytes >= budget then break end
      bytes = bytes + #entry
      used = used + 1
      judge(entry)
    end
    step = math.max(1, math.min(500, math.floor((budget - bytes) * used / math.max(bytes, 1))))
  end
  return used
end

local of_suspect, of_arrivals, of_ready = 0, 0, 0
if alone and call('HLEN', active) == 0 then of_suspect = walk(suspect, 1) end
local is_suspect = #entries == 1
if not is_suspect then
  of_arrivals = walk(arrivals, max)
  of_ready = walk(ready, max)
end
local more = #entries < max and not is_suspect and (call('LLEN', ready) > of_ready or call('LLEN', arrivals) > of_arrivals)

if of_suspect + of_arrivals + of_ready > 0 then
  local no = denied({'hset', active, 'zadd', dead, 'hincrby', meta, 'zrem', cancelled, 'ltrim', ready})
  if no then return no end
end

-- Moving: everything is added before anything is removed.
local merged = 0
sliced(#fields / 2, function(from, to)
  merged = merged + (to - from + 1) - call('HSET', active, unpack(fields, 2 * from - 1, 2 * to))
end)
for _, j in ipairs(junk) do
  call('HSET', parked, j[1], j[2])
  call('ZADD', dead, int(now), j[1])
end
raise(meta, 'enqueued', counted)
local ended = #tombed + merged -- two entries of one id and number are one delivery
raise(meta, 'ended', ended)
for _, id in ipairs(tombed) do call('ZREM', cancelled, id) end
if of_suspect > 0 then call('LTRIM', suspect, of_suspect, -1) end
if of_arrivals > 0 then call('LTRIM', arrivals, of_arrivals, -1) end
if of_ready > 0 then call('LTRIM', ready, of_ready, -1) end
return {more and 1 or 0, is_suspect and 1 or 0, unpack(entries)}
