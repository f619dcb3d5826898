-- AWS Signature Version 4 for reading an object: of requests that we send, and of URLs that an app has signed.
local digests = require 'digests'
local ngx = ngx

local EMPTY = digests.hexadecimal(digests.sha256(''))
local ALGORITHM = 'AWS4-HMAC-SHA256'
-- A week is the longest that S3 knows, seconds.
local LONGEST = 604800
-- How far the clock of who signed may be ahead of ours, seconds; S3 allows the same.
local SKEW = 900
local signature = {}

local function encoded(text, kept)
  return (text:gsub('[^%w%-%._~' .. kept .. ']', function(byte) return string.format('%%%02X', byte:byte()) end))
end

local function decoded(text)
  return (text:gsub('%%(%x%x)', function(digits) return string.char(tonumber(digits, 16)) end))
end

--- The path of a request in the one spelling that is signed. Nil where a part is `.` or `..`: what lies between
-- here and the objects could take it for a way into another bucket.
function signature.path(raw)
  local text = decoded(raw)
  for part in text:gmatch('[^/\\]+') do
    if part == '.' or part == '..' then return nil end
  end
  return encoded(text, '/')
end

-- The key of a day, by bucket: it takes four digests to make.
local keys = {}

local function signing_key(bucket, day)
  local held = keys[bucket]
  if held and held.day == day then return held.key end
  local key = 'AWS4' .. bucket.secretAccessKey
  for _, part in ipairs({ day, bucket.region, 's3', 'aws4_request' }) do
    key = digests.hmac(key, part)
  end
  keys[bucket] = { day = day, key = key }
  return key
end

local function scope_of(bucket, day)
  return table.concat({ day, bucket.region, 's3', 'aws4_request' }, '/')
end

local function sign(bucket, date, canonical)
  local day = date:sub(1, 8)
  local text = table.concat({
    ALGORITHM,
    date,
    scope_of(bucket, day),
    digests.hexadecimal(digests.sha256(table.concat(canonical, '\n'))),
  }, '\n')
  return digests.hexadecimal(digests.hmac(signing_key(bucket, day), text))
end

--- Headers of a GET for this path, as `signature.path` spells it: Authorization, X-Amz-Date, X-Amz-Content-Sha256.
function signature.headers(bucket, path)
  local date = os.date('!%Y%m%dT%H%M%SZ', ngx.time())
  local names = 'host;x-amz-content-sha256;x-amz-date'
  local signed = sign(bucket, date, {
    'GET',
    path,
    '',
    'host:' .. bucket.host,
    'x-amz-content-sha256:' .. EMPTY,
    'x-amz-date:' .. date,
    '',
    names,
    EMPTY,
  })
  local credential = bucket.accessKeyId .. '/' .. scope_of(bucket, date:sub(1, 8))
  local authorization = ALGORITHM .. ' Credential=' .. credential .. ',SignedHeaders=' .. names .. ',Signature=' .. signed
  return authorization, date, EMPTY
end

-- Names and values of a query, and all of it but the signature as it was signed. Nil when a name comes twice.
local function query_of(raw)
  local values, pairs_of_it = {}, {}
  for part in raw:gmatch('[^&]+') do
    local name, value = part:match('^([^=]*)=?(.*)$')
    name, value = decoded(name), decoded(value)
    if values[name] then return nil end
    values[name] = value
    if name ~= 'X-Amz-Signature' then pairs_of_it[#pairs_of_it + 1] = encoded(name, '') .. '=' .. encoded(value, '') end
  end
  table.sort(pairs_of_it)
  return values, table.concat(pairs_of_it, '&')
end

-- Seconds since 1970 of a date in UTC such as 20261128T220000Z, by the days of a calendar that begins in March.
local function seconds_of(date)
  local year, month, day, hour, minute, second = date:match('^(%d%d%d%d)(%d%d)(%d%d)T(%d%d)(%d%d)(%d%d)Z$')
  if not year then return nil end
  year, month = tonumber(year), tonumber(month)
  if month <= 2 then year, month = year - 1, month + 12 end
  local days = 365 * year + math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400)
    + math.floor((153 * (month - 3) + 2) / 5) + tonumber(day) - 1 - 719468
  return ((days * 24 + hour) * 60 + minute) * 60 + second
end

--- Whether this query is the signature, in its time, of whoever holds the bucket's key: for this host, method and
-- path, as `signature.path` spells it.
function signature.holds(bucket, host, method, path, raw)
  local given, canonical = query_of(raw)
  if not given or given['X-Amz-Algorithm'] ~= ALGORITHM or given['X-Amz-SignedHeaders'] ~= 'host' then return false end
  local date, lifetime = given['X-Amz-Date'] or '', tonumber((given['X-Amz-Expires'] or ''):match('^%d+$'))
  local from = seconds_of(date)
  if not from or not lifetime or lifetime > LONGEST then return false end
  local now = ngx.time()
  if now < from - SKEW or now >= from + lifetime then return false end
  if given['X-Amz-Credential'] ~= bucket.accessKeyId .. '/' .. scope_of(bucket, date:sub(1, 8)) then return false end
  local right = sign(bucket, date, { method, path, canonical, 'host:' .. host, '', 'host', 'UNSIGNED-PAYLOAD' })
  return digests.same(right, given['X-Amz-Signature'] or '')
end

return signature
