-- look: one partition at one instant. It writes nothing.
-- KEYS as in places.lua
-- ARGV entries to read at most, bytes to read at most (0, 0 = read none)
-- Returns {{wrong types}, {workers}, {hands without a worker}, surplus, entries that no take has counted (-1 = not read),
-- envelopes, ids of the four sets, ms that the promoter's office lasts (-1 = for ever, -2 = nobody's),
-- {fields of hands that are no deliveries}, backend, enqueued, ended}; after wrong types nothing.
-- include: guard.lua
-- include: head.lua
-- include: places.lua
local wrong = wrong_types()
if #wrong > 0 then return {wrong} end

local orphans, junk = {}, {}
each_hand(function(hand, who)
  if call('HLEN', hand) > 0 and not call('ZSCORE', workers, who) then orphans[#orphans + 1] = who end
  for _, field in ipairs(call('HKEYS', hand)) do
    if not id_of_field(field) then junk[#junk + 1] = field end
  end
end)
local ids = 0
for _, zset in ipairs(zsets) do ids = ids + call('ZCARD', zset) end

local max, budget = tonumber(ARGV[1]), tonumber(ARGV[2])
return {wrong, call('ZRANGE', workers, 0, -1), orphans, surplus(), max > 0 and uncounted(max, budget) or -1,
  call('HLEN', parked), ids, call('PTTL', promoter), junk, call('HGET', meta, 'backend') or '',
  counter('enqueued'), counter('ended')}
