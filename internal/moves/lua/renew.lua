-- renew: a worker's lease. workers maps incarnation → deadline (server ms); 0 = being reaped. @last is when anybody
-- beat, @grace until when nobody is reaped; incarnations are ULIDs, so neither can be one.

-- Joins or renews me. Returns false when I was reaped, else the end of the grace.
-- If nobody beat for more than half a lease (1.5 beats of a third: Redis was away, everyone was stopped, the clock
-- jumped), the fault was not the workers': nobody is reaped for one lease.
local function renew(workers, me, lease, now, join)
  local mine = call('ZSCORE', workers, me)
  if mine and tonumber(mine) <= 0 then return false end
  if not mine and not join then return false end
  local last = tonumber(call('ZSCORE', workers, '@last') or now)
  local grace = tonumber(call('ZSCORE', workers, '@grace') or 0)
  if last > now then -- the clock went back: deadlines of the future would keep the dead alive
    for _, w in ipairs(call('ZRANGEBYSCORE', workers, '(' .. int(now + lease), '+inf', 'LIMIT', 0, 1000)) do
      call('ZADD', workers, int(now + lease), w)
    end
  end
  if now - last > lease / 2 or last > now then
    grace = now + lease
    call('ZADD', workers, int(grace), '@grace')
  end
  call('ZADD', workers, int(now + lease), me, int(now), '@last')
  return grace
end

-- Whether this worker may be reaped now.
local function is_due(workers, worker, now)
  local deadline = tonumber(call('ZSCORE', workers, worker) or '')
  if not deadline or deadline > now then return false end
  return deadline <= 0 or tonumber(call('ZSCORE', workers, '@grace') or 0) <= now
end
