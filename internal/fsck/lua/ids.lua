-- ids: a slice of one of the four sets, and which of its members have no envelope, at one instant.
-- KEYS zset, parked
-- ARGV position of the first, how many
-- Returns {{ids}, {those without an envelope}}. Errors: WRONGTYPE.
-- include: guard.lua
local zset, parked = KEYS[1], KEYS[2]
local wrong = any_wrong_type({zset, 'zset', parked, 'hash'})
if wrong then return {err = wrong} end
local ids, bare = call('ZRANGE', zset, ARGV[1], ARGV[1] + ARGV[2] - 1), {}
for _, id in ipairs(ids) do
  if call('HEXISTS', parked, id) == 0 then bare[#bare + 1] = id end
end
return {ids, bare}
