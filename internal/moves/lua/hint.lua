-- hint: a word on the control channel. Hints only: the truth is in keys, and a lost or forbidden one costs a second.

local function hint(channel, word) pcall_('PUBLISH', channel, word) end

-- Tells the promoter of an earlier due time than it can know of: it hears of others with its next beat.
local function hint_due(channel, queue, before, due, now)
  if due - now < 2000 and (not before or due < before) then hint(channel, 'wake ' .. queue) end
end

-- The due time of the first member, or nil.
local function first_due(zset)
  local first = call('ZRANGE', zset, 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2])
end
