-- bury: envelopes that stand in none of the four sets, and whose jobs lie nowhere else, become dead with reason orphaned.
-- Where they had not been counted, they count as enqueued from now on.
-- KEYS as in places.lua
-- ARGV entries to read at most, bytes to read at most, ids…
-- Returns how many it buried. Errors: LONG, RESTLESS, WRONGTYPE.
-- include: guard.lua
-- include: head.lua
-- include: places.lua
on_full_server_too(workers)
local no = obstacle()
if no then return {err = no} end
local lost = {}
for i = 3, #ARGV do
  local id, listed = ARGV[i], call('HEXISTS', parked, ARGV[i]) == 0
  for _, zset in ipairs(zsets) do listed = listed or call('ZSCORE', zset, id) end
  if not listed then lost[#lost + 1] = id end
end
local max, budget = tonumber(ARGV[1]), tonumber(ARGV[2])
local elsewhere, foreign = find(lost, max, budget), uncounted(max, budget)
if not elsewhere or not foreign then return {err = too_long} end
local graves = {}
for _, id in ipairs(lost) do
  if #elsewhere[id] == 0 then graves[#graves + 1] = id end
end
local more = math.min(#graves, surplus() - foreign + #graves)

local now = int(now_ms())
for _, id in ipairs(graves) do
  local entry = call('HGET', parked, id)
  local as, n, s, rest = head(entry)
  if as == id then -- members in front win over later ones of the same name
    call('HSET', parked, id, with_head(id, n, s, ',"reason":"orphaned","ended":' .. now, string.sub(entry, rest)))
  end
  call('ZADD', dead, now, id)
end
raise(meta, 'enqueued', more)
return #graves
