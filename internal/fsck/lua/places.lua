-- places: where jobs can lie. Every script that includes this gets the keys of one partition in this order:
-- KEYS workers, meta, arrivals, ready, suspect, scheduled, retry, dead, done, parked, cancelled, promoter, hand…
local workers, meta, arrivals, ready, suspect, scheduled, retry, dead, done, parked, cancelled, promoter = unpack(KEYS, 1, 12)
local lines, zsets = {arrivals, ready, suspect}, {scheduled, retry, dead, done}

local function each_hand(f)
  for i = 13, #KEYS do f(KEYS[i], string.match(KEYS[i], '}:active:(.*)$')) end
end

-- Whether a worker came whose hand is not among the keys: then nothing can be said about the whole.
local function stranger()
  local known = {}
  each_hand(function(_, who) known[who] = true end)
  for _, w in ipairs(call('ZRANGE', workers, 0, -1)) do
    if string.sub(w, 1, 1) ~= '@' and not known[w] then return true end
  end
  return false
end

-- All that holds a type other than its own.
local function wrong_types()
  local want = {workers, 'zset', meta, 'hash', arrivals, 'list', ready, 'list', suspect, 'list', scheduled, 'zset',
    retry, 'zset', dead, 'zset', done, 'zset', parked, 'hash', cancelled, 'zset', promoter, 'string'}
  each_hand(function(hand) want[#want + 1] = hand; want[#want + 1] = 'hash' end)
  local found = {}
  for i = 1, #want, 2 do
    local wrong = wrong_type(want[i], want[i + 1])
    if wrong then found[#found + 1] = wrong end
  end
  return found
end

-- The id of a field id:n of a hand; nil for what somebody else wrote there.
local function id_of_field(field)
  local id, n = string.match(field, '^([0-9A-HJKMNP-TV-Z]+):(%d+)$')
  if id and #id == 26 and is_number(n) then return id end
end

local function counter(name) return tonumber(call('HGET', meta, name) or '0') or 0 end

-- How many jobs lie anywhere, less those that ought to: below 0 some are missing, above 0 there are more than were
-- counted. What a foreign producer pushed is among them until a take counts it.
local function surplus()
  local lie = 0
  for _, line in ipairs(lines) do lie = lie + call('LLEN', line) end
  for _, zset in ipairs(zsets) do lie = lie + call('ZCARD', zset) end
  each_hand(function(hand) lie = lie + call('HLEN', hand) end)
  return lie - (counter('enqueued') - counter('ended'))
end

-- Calls f(entry, line) for every entry of the lines; false when they are longer than the limits and it gave up.
local function each_entry(max, budget, f)
  for _, line in ipairs(lines) do
    local from = 0
    while true do
      local got = call('LRANGE', line, from, from + 99)
      for _, entry in ipairs(got) do
        max, budget = max - 1, budget - #entry
        if max < 0 or budget < 0 then return false end
        f(entry, line)
      end
      if #got < 100 then break end
      from = from + 100
    end
  end
  return true
end

-- How many entries lie anywhere that no take has counted yet; nil when there are too many to look at.
local function uncounted(max, budget)
  local n = 0
  if not each_entry(max, budget, function(entry) if not head(entry) then n = n + 1 end end) then return nil end
  each_hand(function(hand)
    for _, field in ipairs(call('HKEYS', hand)) do if not id_of_field(field) then n = n + 1 end end
  end)
  return n
end

-- Whether each of these ids lies in a line or in a hand: id → list of places. nil when there are too many to look at.
local function find(ids, max, budget)
  local places = {}
  for _, id in ipairs(ids) do places[id] = {} end
  local function note(id, where)
    local p = id and places[id]
    if p then p[#p + 1] = where end
  end
  local names = {[arrivals] = 'arrivals', [ready] = 'ready', [suspect] = 'suspect'}
  if not each_entry(max, budget, function(entry, line) note(head(entry), names[line]) end) then return nil end
  each_hand(function(hand, who)
    for _, field in ipairs(call('HKEYS', hand)) do note(id_of_field(field), 'active:' .. who) end
  end)
  return places
end

-- What keeps a script that changes something from doing so, or nil.
local function obstacle()
  local wrong = wrong_types()
  if #wrong > 0 then return wrong[1] end
  if stranger() then return 'RESTLESS a worker came' end
end

local too_long = 'LONG too many jobs wait to read them at one instant'
local names_of_zsets = {[scheduled] = 'scheduled', [retry] = 'retry', [dead] = 'dead', [done] = 'done'}
