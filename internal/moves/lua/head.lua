-- head: an entry's first three members, read and rewritten by string alone: {"id":"…","n":1,"s":0,…
-- A payload never passes through cjson (it loses integers over 14 digits and turns [] into {}).

-- As JSON has numbers: no zeros in front, and few enough digits to be exact.
local function is_number(digits) return #digits < 16 and (#digits == 1 or string.byte(digits) ~= 48) end

-- id, n and s as they stand there and where the rest begins; nil when the entry is not canonical. An id has the letters
-- and digits of a ULID. (A class of one letter and a short set are twice as fast as the set of all that it may have, and
-- this is what a take spends most of its time on.)
local function head_text(entry)
  local id, n, s, rest = string.match(entry, '^{"id":"(%w+)","n":(%d+),"s":(%d+)()[,}]')
  if id and #id == 26 and is_number(n) and is_number(s) and not string.find(id, '[%lILOU]') then return id, n, s, rest end
end

-- The same with n and s as numbers.
local function head(entry)
  local id, n, s, rest = head_text(entry)
  if id then return id, tonumber(n), tonumber(s), rest end
end

-- The entry under another head. Members in more stand first in the rest, so they win over later ones of the same name.
local function with_head(id, n, s, more, rest)
  return '{"id":"' .. id .. '","n":' .. int(n) .. ',"s":' .. int(s) .. more .. rest
end

-- The entry as it goes back to the line, one delivery later and with so many stalls more, and how many stalls it has.
-- What is not canonical (somebody wrote into the hand) goes back as it is: take sorts it out.
local function put_back(entry, stalls)
  local id, n, s, rest = head(entry)
  if not id then return entry, 0 end
  return with_head(id, n + 1, s + stalls, '', string.sub(entry, rest)), s + stalls
end
