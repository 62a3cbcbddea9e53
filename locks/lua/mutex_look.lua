-- mutex_look: the state of a mutex. One script so that what it says belongs together.
-- KEYS token, fence, waiters
-- ARGV token to look for
-- Returns {live holders, 1 if the token is one, waiters, last fence (0 = unknown), then for each holder: token, TTL ms
-- (-1 = none)}.
local holder = redis.call('GET', KEYS[1])
local answer = {holder and 1 or 0, holder == ARGV[1] and 1 or 0, redis.call('ZCARD', KEYS[3]),
  tonumber(redis.call('GET', KEYS[2]) or 0)}
if holder then
  answer[5], answer[6] = holder, redis.call('PTTL', KEYS[1])
end
return answer
