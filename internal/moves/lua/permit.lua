-- permit: nothing is begun that this user may not end. Lua has no rollback: a right that is missing half-way would leave
-- a job in two places, as when HSET is allowed and LTRIM is not.

-- Which of {command, key, command, key, …} is denied, as an error, or nil. The embedded server has no users.
local function denied(needs)
  local may = redis.acl_check_cmd
  if not may then return end
  for i = 1, #needs, 2 do
    if not may(needs[i], needs[i + 1]) then
      return {err = 'NOPERM this user may not run ' .. needs[i] .. ' on ' .. needs[i + 1] .. ': give it +' .. needs[i]}
    end
  end
end
