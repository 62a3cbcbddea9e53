-- ttl: which of these keys would never expire though they should; with a time to live, they get it.
-- KEYS key…
-- ARGV their type, ms to live ('' = look only)
-- Returns {key…}.
-- include: guard.lua
local found = {}
for _, key in ipairs(KEYS) do
  if not wrong_type(key, ARGV[1]) and call('PTTL', key) == -1 then found[#found + 1] = key end
end
if ARGV[2] ~= '' then
  for _, key in ipairs(found) do call('PEXPIRE', key, ARGV[2]) end
end
return found
