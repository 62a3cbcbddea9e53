-- mutex_renew: sets the TTL of a mutex that this token holds. It must be one script because the lock may pass on between
-- the look and the change. It changes nothing that grows, so it runs on a full server.
-- KEYS token
-- ARGV token, TTL ms from now (0 = none)
-- Returns 1, or 0 where the token does not hold the lock.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if tonumber(ARGV[2]) > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) else redis.call('PERSIST', KEYS[1]) end
return 1
