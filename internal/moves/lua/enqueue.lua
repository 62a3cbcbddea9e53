-- enqueue: accepts a numbered batch, all of it or nothing, and once: the producer's key holds its last batch, and a
-- resend answers as the first one did. It must be one script because the number and the jobs have to appear together.
-- It does not run on a full server: that is where producers have to wait.
-- KEYS meta, ready, scheduled, parked, producer
-- ARGV number, not_after (server ms, 0 = never), backend ('' = the queue's, else list), channel, queue,
--      then for each job: due ('' = now, '+ms' from now, or server ms), id, entry
-- Returns 'OK'. Errors: STALE, GAP, BACKEND, WRONGTYPE, NOPERM.
-- include: guard.lua
-- include: hint.lua
-- include: permit.lua
local meta, ready, scheduled, parked, producer = unpack(KEYS)
local number, not_after, backend, channel, queue = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local first_id = ARGV[7]

local wrong = any_wrong_type({meta, 'hash', ready, 'list', scheduled, 'zset', parked, 'hash', producer, 'hash'})
if wrong then return {err = wrong} end

local known = call('HMGET', producer, 'number', 'first')
local last = tonumber(known[1] or 0)
if number == last and known[2] == first_id then return 'OK' end
if number ~= last + 1 then
  return {err = 'GAP this batch has number ' .. int(number) .. ', the last one known is ' .. int(last)}
end
local now = now_ms()
if not_after > 0 and now > not_after then
  return {err = 'STALE the batch was to be accepted ' .. int(now - not_after) .. ' ms ago'}
end
local has = call('HGET', meta, 'backend')
if has and backend ~= '' and has ~= backend then return {err = 'BACKEND the queue is a ' .. has .. ' queue'} end

local no = denied({'hset', producer, 'zadd', scheduled, 'rpush', ready, 'hincrby', meta, 'pexpire', producer})
if no then return no end

local before, earliest
local now_entries, count = {}, 0
for i = 6, #ARGV, 3 do
  local due = ARGV[i]
  if due ~= '' then due = string.sub(due, 1, 1) == '+' and now + tonumber(due) or tonumber(due) end
  if due == '' or due <= now then
    now_entries[#now_entries + 1] = ARGV[i + 2]
  else
    if not earliest then before = first_due(scheduled) end
    call('HSET', parked, ARGV[i + 1], ARGV[i + 2])
    call('ZADD', scheduled, int(due), ARGV[i + 1])
    earliest = math.min(earliest or due, due)
  end
  count = count + 1
end
sliced(#now_entries, function(from, to) call('RPUSH', ready, unpack(now_entries, from, to)) end)
if not has then call('HSET', meta, 'backend', backend ~= '' and backend or 'list') end
raise(meta, 'enqueued', count)
call('HSET', producer, 'number', int(number), 'first', first_id)
call('PEXPIRE', producer, 120000)
if earliest then hint_due(channel, queue, before, earliest, now) end
return 'OK'
