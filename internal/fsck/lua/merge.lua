-- merge: of entries that are the same to the last byte, and so one delivery, all but the first of the line go. Only where
-- the id lies nowhere else. Where the copies had been counted, they count as ended from now on, as when a take meets them.
-- KEYS as in places.lua
-- ARGV entries to read at most, bytes to read at most, id
-- Returns how many copies went. Errors: LONG, RESTLESS, WRONGTYPE.
-- include: guard.lua
-- include: head.lua
-- include: places.lua
on_full_server_too(workers)
local no = obstacle()
if no then return {err = no} end
local id, max, budget = ARGV[3], tonumber(ARGV[1]), tonumber(ARGV[2])
local foreign = uncounted(max, budget)
local seen, same, copies = nil, true, {}
local whole = each_entry(max, budget, function(entry, line)
  if head(entry) ~= id then return end
  if not seen then
    seen = entry
  else
    same = same and entry == seen
    copies[#copies + 1] = line
  end
end)
if not whole or not foreign then return {err = too_long} end
local elsewhere = call('HEXISTS', parked, id) == 1
for _, zset in ipairs(zsets) do elsewhere = elsewhere or call('ZSCORE', zset, id) end
each_hand(function(hand)
  for _, field in ipairs(call('HKEYS', hand)) do elsewhere = elsewhere or id_of_field(field) == id end
end)
if elsewhere or not same or #copies == 0 then return 0 end
local counted = math.min(#copies, #copies - (surplus() - foreign))
if counted > 0 then call('HINCRBY', meta, 'ended', counted) end
for _, line in ipairs(copies) do call('LREM', line, -1, seen) end -- from the right, so the first stays
return #copies
