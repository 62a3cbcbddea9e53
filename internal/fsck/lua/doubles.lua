-- doubles: which of these ids lie in more than one place, at one instant.
-- KEYS as in places.lua
-- ARGV entries to read at most, bytes to read at most, ids…
-- Returns {id, {places}, id, {places}, …}. Errors: LONG, RESTLESS, WRONGTYPE.
-- include: guard.lua
-- include: head.lua
-- include: places.lua
local no = obstacle()
if no then return {err = no} end
local ids = {}
for i = 3, #ARGV do ids[#ids + 1] = ARGV[i] end
local places = find(ids, tonumber(ARGV[1]), tonumber(ARGV[2]))
if not places then return {err = too_long} end
local found = {}
for _, id in ipairs(ids) do
  local p, listed = places[id], false
  for _, zset in ipairs(zsets) do
    if call('ZSCORE', zset, id) then
      listed = true
      p[#p + 1] = names_of_zsets[zset]
    end
  end
  if not listed and call('HEXISTS', parked, id) == 1 then p[#p + 1] = 'parked' end
  if #p > 1 then
    found[#found + 1] = id
    found[#found + 1] = p
  end
end
return found
