-- settle: says what became of deliveries. One script, so that only the holder's word counts (its incarnation is in
-- workers and the field id:n in its hand) and so that a job leaves the hand as it arrives where it goes.
-- KEYS workers, active, meta, parked, scheduled, retry, dead, cancelled, ready, suspect
-- ARGV incarnation, channel, queue, then for each that is done its field, for each other one: verdict, field, delay in ms,
--      entry. Verdicts: cancel, release, retry, snooze, dead (delay and entry '' where they mean nothing)
-- Returns {place, word, …} for those that were not applied, counted from 1: already, lost, or why it was refused.
-- Errors: WRONGTYPE (of workers, active, meta, cancelled), NOPERM.
-- include: guard.lua
-- include: head.lua
-- include: hint.lua
-- include: permit.lua
local workers, active, meta, parked, scheduled, retry, dead, cancelled, ready, suspect = unpack(KEYS)
local me, channel, queue = ARGV[1], ARGV[2], ARGV[3]

-- Calls f(place, verdict, field, delay, entry) for each settlement.
local function each(f)
  local i, place = 4, 1
  while ARGV[i] do
    if #ARGV[i] >= 28 then -- a field: verdicts are shorter
      f(place, 'done', ARGV[i])
      i = i + 1
    else
      f(place, ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
      i = i + 4
    end
    place = place + 1
  end
end

on_full_server_too(workers)
local wrong = any_wrong_type({workers, 'zset', active, 'hash', meta, 'hash', cancelled, 'zset'})
if wrong then return {err = wrong} end
local answers = {}
local function answer(place, word)
  answers[#answers + 1] = place
  answers[#answers + 1] = word
end
if tonumber(call('ZSCORE', workers, me) or 0) <= 0 then
  each(function(place) answer(place, 'lost') end)
  raise(meta, 'lease_lost', #answers / 2)
  return answers
end

-- Looking: which words count, and what is wrong with where their jobs would go.
local goes = {
  done = {}, cancel = {}, release = {ready, 'list', suspect, 'list'}, retry = {parked, 'hash', retry, 'zset'},
  snooze = {parked, 'hash', scheduled, 'zset'}, dead = {parked, 'hash', dead, 'zset'},
}
local refused = {}
local function refusal(verdict)
  if refused[verdict] == nil then refused[verdict] = any_wrong_type(goes[verdict]) or false end
  return refused[verdict]
end
local now = now_ms()
local tombs = call('ZCARD', cancelled) > 0
local settled, seen, count, untomb = {}, {}, {}, {}
local parks, releases = {}, {}
each(function(place, verdict, field, delay, entry)
  local id = (tombs or verdict ~= 'done') and string.sub(field, 1, 26)
  local cancel = tombs and call('ZSCORE', cancelled, id)
  if cancel and verdict ~= 'done' and verdict ~= 'dead' then verdict = 'cancel' end -- cancelled jobs don't run again
  local word = refusal(verdict)
  if seen[field] or call('HEXISTS', active, field) == 0 then word = 'already' end
  if word then return answer(place, word) end
  seen[field] = true
  settled[#settled + 1] = field
  count[verdict] = (count[verdict] or 0) + 1
  if cancel then untomb[#untomb + 1] = id end
  if verdict == 'release' then
    releases[#releases + 1] = call('HGET', active, field)
  elseif verdict ~= 'done' and verdict ~= 'cancel' then
    parks[#parks + 1] = {goes[verdict][3], id, verdict == 'dead' and now or now + tonumber(delay), entry}
  end
end)
local first = {[scheduled] = count.snooze and first_due(scheduled), [retry] = count.retry and first_due(retry)}

local no = denied({'hincrby', meta, 'hdel', active})
if not no and (tombs or #settled > (count.done or 0)) then
  no = denied({'hset', parked, 'zadd', retry, 'lpush', ready, 'zrem', cancelled})
end
if no then return no end

-- Moving: everything is added before anything is removed.
for _, p in ipairs(parks) do
  call('HSET', parked, p[2], p[4])
  call('ZADD', p[1], int(p[3]), p[2])
end
for i = #releases, 1, -1 do
  local entry, stalls = put_back(releases[i], 0)
  call('LPUSH', stalls > 1 and suspect or ready, entry)
end
local done, failed = count.done or 0, (count.retry or 0) + (count.dead or 0)
raise(meta, 'ended', done + (count.cancel or 0))
raise(meta, 'processed', done + failed)
raise(meta, 'failed', failed)
for _, id in ipairs(untomb) do call('ZREM', cancelled, id) end
sliced(#settled, function(from, to) call('HDEL', active, unpack(settled, from, to)) end)
for _, p in ipairs(parks) do
  if p[1] ~= dead then hint_due(channel, queue, first[p[1]], p[3], now) end
end
return answers
