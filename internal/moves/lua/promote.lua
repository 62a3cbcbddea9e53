-- promote: makes due jobs ready, in the order of their times. One script, so that a job is never in both places.
-- KEYS scheduled, retry, parked, ready
-- ARGV at most so many, at most so many bytes
-- Returns {moved, ms until the next one is due (0 = now, -1 = none)}. Errors: WRONGTYPE, NOPERM.
-- include: guard.lua
-- include: hint.lua
-- include: permit.lua
local scheduled, retry, parked, ready = unpack(KEYS)
local max, budget = tonumber(ARGV[1]), tonumber(ARGV[2])

on_full_server_too(scheduled)
local wrong = any_wrong_type({scheduled, 'zset', retry, 'zset', parked, 'hash', ready, 'list'})
if wrong then return {err = wrong} end

local now = now_ms()
local function due_in(zset)
  local found, jobs = call('ZRANGEBYSCORE', zset, '-inf', int(now), 'WITHSCORES', 'LIMIT', 0, max), {}
  for i = 1, #found, 2 do jobs[#jobs + 1] = {id = found[i], due = tonumber(found[i + 1]), zset = zset} end
  return jobs
end
local jobs = due_in(scheduled)
for _, job in ipairs(due_in(retry)) do jobs[#jobs + 1] = job end
table.sort(jobs, function(a, b)
  if a.due ~= b.due then return a.due < b.due end
  return a.id < b.id
end)

-- An id without an envelope is nothing that could run: it leaves the line.
local entries, bytes = {}, 0
local gone = {[scheduled] = {}, [retry] = {}}
local ids = {}
for i, job in ipairs(jobs) do
  if i > max or bytes >= budget then break end
  local entry = call('HGET', parked, job.id)
  if entry then
    entries[#entries + 1] = entry
    ids[#ids + 1] = job.id
    bytes = bytes + #entry
  end
  table.insert(gone[job.zset], job.id)
end

if #jobs > 0 then
  local no = denied({'rpush', ready, 'zrange', scheduled, 'hdel', parked, 'zrem', scheduled})
  if no then return no end
end
sliced(#entries, function(from, to) call('RPUSH', ready, unpack(entries, from, to)) end)
local next_due
for _, zset in ipairs({scheduled, retry}) do
  local left = call('ZRANGE', zset, #gone[zset], #gone[zset], 'WITHSCORES')
  if left[2] then next_due = math.min(next_due or tonumber(left[2]), tonumber(left[2])) end
end
sliced(#ids, function(from, to) call('HDEL', parked, unpack(ids, from, to)) end)
for zset, members in pairs(gone) do
  sliced(#members, function(from, to) call('ZREM', zset, unpack(members, from, to)) end)
end
return {#entries, next_due and math.max(next_due - now, 0) or -1}
