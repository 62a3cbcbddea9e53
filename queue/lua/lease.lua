-- lease: a beat that renews and nothing else. It touches one key, so it runs while the queue's slot is moving (a script
-- with several keys answers TRYAGAIN then).
-- KEYS workers
-- ARGV incarnation, lease in ms, 1 = join
-- Returns 'OK'. Errors: LOST, WRONGTYPE.
-- include: guard.lua
-- include: renew.lua
on_full_server_too(KEYS[1])
local wrong = wrong_type(KEYS[1], 'zset')
if wrong then return {err = wrong} end
if not renew(KEYS[1], ARGV[1], tonumber(ARGV[2]), now_ms(), ARGV[3] == '1') then
  return {err = 'LOST this worker was reaped'}
end
return 'OK'
