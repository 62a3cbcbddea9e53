-- unlist: takes ids that have no envelope out of one of the four sets: nothing is left of them that could run. Where
-- they had been counted, they count as ended from now on.
-- KEYS as in places.lua
-- ARGV entries to read at most, bytes to read at most, which set (1 to 4), ids…
-- Returns how many it took out. Errors: LONG, RESTLESS, WRONGTYPE.
-- include: guard.lua
-- include: head.lua
-- include: places.lua
on_full_server_too(workers)
local no = obstacle()
if no then return {err = no} end
local zset, bare = zsets[tonumber(ARGV[3])], {}
for i = 4, #ARGV do
  if call('ZSCORE', zset, ARGV[i]) and call('HEXISTS', parked, ARGV[i]) == 0 then bare[#bare + 1] = ARGV[i] end
end
local foreign = uncounted(tonumber(ARGV[1]), tonumber(ARGV[2]))
if not foreign then return {err = too_long} end
local missing = math.min(#bare, #bare - (surplus() - foreign))
if missing > 0 then call('HINCRBY', meta, 'ended', missing) end
sliced(#bare, function(from, to) call('ZREM', zset, unpack(bare, from, to)) end)
return #bare
