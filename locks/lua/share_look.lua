-- share_look: the state of a semaphore or reader-writer lock. One script so that what it says belongs together.
-- KEYS holders, fence, waiters
-- ARGV member to look for
-- Returns {live holders, 1 if the member is one, waiters, last fence (0 = unknown), then for each of at most 1,000
-- holders: member, TTL ms (-1 = none)}.
-- include: common.lua
local holders, fence, waiters = unpack(KEYS)
local now = now_ms()
local future = '(' .. int(now)
local answer = {call('ZCOUNT', holders, future, '+inf'),
  tonumber(call('ZSCORE', holders, ARGV[1]) or 0) > now and 1 or 0,
  call('ZCARD', waiters), tonumber(call('GET', fence) or 0)}
local live = call('ZRANGEBYSCORE', holders, future, '+inf', 'WITHSCORES', 'LIMIT', 0, 1000)
for i = 1, #live, 2 do
  local deadline = tonumber(live[i + 1])
  answer[#answer + 1] = live[i]
  answer[#answer + 1] = deadline >= FOREVER and -1 or deadline - now
end
return answer
