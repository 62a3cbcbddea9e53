-- rights: which of these commands the user that runs this may not run. The server answers; nothing is tried.
-- KEYS a key of the namespace
-- ARGV the control channel, then command or command|subcommand…
-- Returns {denied…}, or 'NONE' where there are no users.
local may = redis.acl_check_cmd
if not may then return 'NONE' end
local denied = {}
for i = 2, #ARGV do
  local name, sub = string.match(ARGV[i], '^([^|]+)|?(.*)$')
  local ok
  if sub ~= '' then
    ok = may(name, sub)
  elseif name == 'publish' then
    ok = may(name, ARGV[1], 'x')
  elseif name == 'subscribe' then
    ok = may(name, ARGV[1])
  elseif name == 'del' then
    ok = may(name, KEYS[1])
  elseif name == 'ping' or name == 'time' or name == 'asking' or name == 'command' then
    ok = may(name)
  elseif name == 'eval' or name == 'evalsha' then
    ok = may(name, 'x', '1', KEYS[1])
  else
    ok = may(name, KEYS[1], KEYS[1], '0', '0', '0')
  end
  if not ok then denied[#denied + 1] = ARGV[i] end
end
return denied
