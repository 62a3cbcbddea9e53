-- share_raise: raises the fence to what a quorum agreed on, while the member still holds its place here.
-- KEYS holders, fence
-- ARGV member, fence
-- Returns 1, or 0 where the member holds no place.
-- include: common.lua
local deadline, stored = call('ZSCORE', KEYS[1], ARGV[1]), call('GET', KEYS[2])
local now = now_ms()
if tonumber(deadline or 0) <= now then return 0 end
local fence = math.max(tonumber(stored or 0), tonumber(ARGV[2]))
write_fence(KEYS[2], fence, math.min(now, fence))
return 1
