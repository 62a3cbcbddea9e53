-- line: the ids in a slice of a line. Its payloads stay on the server.
-- KEYS line
-- ARGV position of the first, how many at most, how many bytes at most
-- Returns {entries read, entries without a head, {ids}}. Errors: WRONGTYPE.
-- include: guard.lua
-- include: head.lua
local wrong = wrong_type(KEYS[1], 'list')
if wrong then return {err = wrong} end
local from, max, budget = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local read, foreign, ids = 0, 0, {}
while read < max and budget > 0 do
  local got = call('LRANGE', KEYS[1], from + read, from + read + 49)
  for _, entry in ipairs(got) do
    read, budget = read + 1, budget - #entry
    local id = head(entry)
    if id then ids[#ids + 1] = id else foreign = foreign + 1 end
  end
  if #got < 50 then break end
end
return {read, foreign, ids}
