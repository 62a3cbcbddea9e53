-- foreign: entries that another producer pushed, or junk.

local function is_id(id)
  return type(id) == 'string' and #id == 26 and string.match(id, '^[0-7][0-9A-HJKMNP-TV-Z]+$') ~= nil
end

-- A foreign entry made canonical: id and entry; nil when it is not a JSON object. fresh is an id for who brings none.
local function canonical(entry, fresh)
  local at = string.match(entry, '^%s*{()')
  if not at then return nil end
  local ok, doc = pcall(cjson.decode, entry)
  if not ok or type(doc) ~= 'table' then return nil end
  local id = is_id(doc.id) and doc.id or fresh
  local rest = string.sub(entry, at)
  if not string.match(rest, '^%s*}') then rest = ',' .. rest end
  return id, with_head(id, 1, 0, '', rest)
end

local digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

-- Entries may be megabytes, so it goes by 12 bits at a time. The pieces are joined now and then: the embedded server's
-- Lua cannot join more than about 5,000 at once.
local function base64(s)
  local two = {}
  for v = 0, 4095 do
    local d = math.floor(v / 64)
    two[v] = string.sub(digits, d + 1, d + 1) .. string.sub(digits, v % 64 + 1, v % 64 + 1)
  end
  local done, out = {}, {}
  local function join(all, n)
    if #all < n then return all end
    return {table.concat(all)}
  end
  for i = 1, #s, 3 do
    local a, b, c = string.byte(s, i, i + 2)
    local v = a * 65536 + (b or 0) * 256 + (c or 0)
    local left, right = two[math.floor(v / 4096)], two[v % 4096]
    if not c then right = string.sub(right, 1, 1) .. '=' end
    if not b then right = '==' end
    out[#out + 1] = left .. right
    if #out == 2000 then
      done[#done + 1] = table.concat(out)
      out = {}
      done = join(done, 2000)
    end
  end
  return table.concat(done) .. table.concat(out)
end

-- The envelope in which an unreadable entry is kept: its bytes as the payload.
local function unreadable(id, entry, now)
  return with_head(id, 1, 0, '', ',"v":1,"kind":"unreadable","content_type":"application/octet-stream","payload":"' ..
    base64(entry) .. '","reason":"unreadable","ended":' .. int(now) .. '}')
end
