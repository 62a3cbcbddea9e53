-- guard: what every script begins with: server time, types of keys, the way past a full server.

local call, pcall_ = redis.call, redis.pcall

-- Server time in milliseconds. Scripts know no other clock.
local function now_ms()
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Numbers as Redis stores them: tostring would write 1.7e+12.
local function int(n) return string.format('%.0f', n) end

-- Lets the script write on a full server: Redis refuses writes over maxmemory until a script's first write command was
-- one that cannot grow (measured on 7.0). This one removes a member that never exists. An error shows in the checks.
local function on_full_server_too(zset) pcall_('ZREM', zset, '') end

-- What is wrong with a key's type, or nil. An absent key is right.
local function wrong_type(key, want)
  local t = call('TYPE', key)
  if type(t) == 'table' then t = t.ok end
  if t ~= want and t ~= 'none' then return 'WRONGTYPE ' .. key .. ' holds a ' .. t .. ', not a ' .. want end
end

-- The first wrong one of {key, type, key, type, …}, or nil.
local function any_wrong_type(pairs)
  for i = 1, #pairs, 2 do
    local wrong = wrong_type(pairs[i], pairs[i + 1])
    if wrong then return wrong end
  end
end

-- Raises a counter. By then the script has moved jobs, and what cannot be counted (somebody wrote a text there, or a
-- number at its end) must not stop it between adding and removing: each resend would add once more.
local function raise(meta, name, n)
  if n > 0 then pcall_('HINCRBY', meta, name, n) end
end

-- Calls f(from, to) for slices of a list of n values: unpack has its limit.
local function sliced(n, f)
  for from = 1, n, 500 do f(from, math.min(from + 499, n)) end
end
