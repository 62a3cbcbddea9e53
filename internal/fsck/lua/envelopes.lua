-- envelopes: a slice of the envelopes, those that stand in none of the four sets, at one instant.
-- KEYS parked, scheduled, retry, dead, done
-- ARGV cursor, about how many
-- Returns {next cursor ('0' = that was all), {ids}}. Errors: WRONGTYPE.
-- include: guard.lua
local wrong = any_wrong_type({KEYS[1], 'hash', KEYS[2], 'zset', KEYS[3], 'zset', KEYS[4], 'zset', KEYS[5], 'zset'})
if wrong then return {err = wrong} end
local got, lost = call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2]), {}
for i = 1, #got[2], 2 do
  local id, listed = got[2][i], false
  for k = 2, 5 do listed = listed or call('ZSCORE', KEYS[k], id) end
  if not listed then lost[#lost + 1] = id end
end
return {got[1], lost}
