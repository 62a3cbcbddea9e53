-- mutex_raise: raises the fence to what a quorum agreed on, while the token still holds the lock here.
-- KEYS token, fence
-- ARGV token, fence
-- Returns 1, or 0 where the token does not hold the lock.
-- include: common.lua
local holder, stored = call('GET', KEYS[1]), call('GET', KEYS[2])
if holder ~= ARGV[1] then return 0 end
local fence, now = math.max(tonumber(stored or 0), tonumber(ARGV[2])), now_ms()
write_fence(KEYS[2], fence, math.min(now, fence))
return 1
