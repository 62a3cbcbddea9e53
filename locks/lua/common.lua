-- common: what every script of a lock begins with: server time, the fence, waking those who wait.

local call, pcall_ = redis.call, redis.pcall

-- A deadline that never comes, short enough for every server to print in full.
local FOREVER = 99999999999999

-- Server time in milliseconds. Scripts know no other clock.
local function now_ms()
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Numbers as Redis stores them: tostring would write 1.7e+12.
local function int(n) return string.format('%.0f', n) end

-- Lets the script write on a full server: Redis refuses writes over maxmemory until a script's first write command was
-- one that cannot grow (measured on 7.0). The key never exists.
local function on_full_server_too(reserved) call('DEL', reserved) end

-- The next fence: it grows even where a failover lost the stored one, as long as clocks agree to within the time that
-- passed since.
local function next_fence(stored, now) return math.max(tonumber(stored or 0) + 1, now) end

-- Keeps the fence for ten minutes after the clock has reached it. Expiry follows the same wall clock as TIME, so a clock
-- that was set back keeps the key for longer by as much.
local function write_fence(key, fence, now) call('SET', key, int(fence), 'PX', int(fence - now + 600000)) end

-- The first who wait, without one who leaves; read before the first write, for wake.
local function first_waiters(waiters, leaver)
  local queue = {}
  for _, w in ipairs(call('ZRANGE', waiters, 0, 3)) do
    if w ~= leaver then queue[#queue + 1] = w end
  end
  return queue
end

-- Wakes one waiter of the list that first_waiters gave: the first whose process listens. A cluster counts only the
-- listeners at this node, so there up to four are woken. They leave the line, and so do those in gone.
-- A waiter is a mode letter, its process, ':' and a number.
local function wake(waiters, queue, channel, gone)
  for _, w in ipairs(queue) do
    gone[#gone + 1] = w
    if call('PUBLISH', channel .. string.match(w, '^.(.-):'), w) > 0 then break end
  end
  if #gone > 0 then call('ZREM', waiters, unpack(gone)) end
end

-- Puts a waiter in line, in its old place if it has waited before; returns its place. On a full server it stays
-- outside, and finds out by asking again.
local function wait_in_line(waiters, waiter, arrival, patience, now)
  if tonumber(arrival) == 0 then arrival = int(now) end
  pcall_('ZADD', waiters, 'NX', arrival, waiter)
  pcall_('PEXPIRE', waiters, patience)
  return tonumber(arrival)
end
