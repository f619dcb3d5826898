-- Limits of requests, the same for all workers since Redis counts. Written by holdfast from config.yaml.
local cjson = require 'cjson'
local complain = require 'complaint'
local counter = require 'limits.counter'
local digests = require 'digests'
local token = require 'limits.token'
local ngx = ngx

local function content(path)
  local file = assert(io.open(path, 'rb'))
  local text = file:read('*a')
  file:close()
  return text
end

-- What the config says, and what nobody but nginx may read. A reload starts new workers, which read anew.
local limits = cjson.decode(content('/etc/nginx/holdfast/limits.json'))
local secrets = cjson.decode(content('/etc/nginx/certificates/limits.secrets.json'))
local text = content('/etc/nginx/holdfast/lua/limits/sliding-log.redis.lua')
local script = { text = text, digest = digests.hexadecimal(ngx.sha1_bin(text)) }

local verifiers = {}
for name, secret in pairs(secrets.verifyWith) do
  verifiers[name] = token.verifier(secret)
  if not verifiers[name] then
    complain('limit ', name, ' counts nobody: its secret is neither text for HS256 nor a public key')
  end
end

-- Of an IPv6 address the first half: a household has all that follow it.
local function address()
  return ngx.var.binary_remote_addr:sub(1, 8)
end

-- Above, neighbours are one number here, and would be one user.
local LARGEST_EXACT = 2 ^ 53

-- All its digits, of which tostring gives 14.
local function name_of_number(value)
  return math.abs(value) <= LARGEST_EXACT and string.format('%.17g', value) or nil
end

local function claim(limit)
  local verifier = verifiers[limit.name]
  local bearer = verifier and (ngx.var.http_authorization or ''):match('^[Bb][Ee][Aa][Rr][Ee][Rr] +(%S+)$')
  local claims = bearer and token.claims(bearer, verifier)
  local value = claims and claims[limit.of]
  if type(value) == 'number' then return name_of_number(value) end
  return type(value) == 'string' and value or nil
end

local IDENTITY = {
  ip = address,
  jwt = claim,
  header = function(limit) return ngx.var[limit.variable] end,
  cookie = function(limit) return ngx.var[limit.variable] end,
}

-- Values that one address may begin to use within a window: whoever makes them up must not fill Redis. Those that a
-- token vouches for are nobody's to make up.
local MOST_NEW = 256

-- A digest: keys are short, whatever a client sends, and hold nobody's token.
local function key_of(kind, limit, identity)
  return 'holdfast:limit:' .. limit.name .. kind .. ngx.encode_base64(ngx.sha1_bin(identity), true)
end

local function count_addresses(names)
  for _, name in ipairs(names) do
    if limits[name].by == 'ip' then return true end
  end
  return false
end

-- Those of the limits with these names that count this request, with what the script needs of each. Who shows nothing
-- that a limit counts by is counted by his address; but who shows no token falls under the limits by address alone,
-- where there is one: people behind one address are not one user.
local function applicable(names)
  local found, keys, arguments = {}, {}, {}
  local have_address = count_addresses(names)
  for _, name in ipairs(names) do
    local limit = limits[name]
    local shown = IDENTITY[limit.by](limit)
    local is_address = limit.by == 'ip' or not shown or shown == ''
    if not (limit.by == 'jwt' and is_address and have_address) then
      local by_address = key_of(':', limit, address())
      local is_claimed = not is_address and limit.by ~= 'jwt'
      local index = #found + 1
      found[index] = limit
      keys[3 * index - 2] = is_address and by_address or key_of(':shown:', limit, shown)
      keys[3 * index - 1] = by_address
      keys[3 * index] = key_of(':new:', limit, address())
      arguments[3 * index - 2] = limit.limit
      arguments[3 * index - 1] = limit.window * 1000000
      arguments[3 * index] = is_claimed and MOST_NEW or 0
    end
  end
  return found, keys, arguments
end

local function seconds(microseconds)
  return math.max(math.ceil(microseconds / 1000000), 1)
end

-- RateLimit and RateLimit-Policy, draft-ietf-httpapi-ratelimit-headers-11.
local function announce(found, answer)
  local left, policies = {}, {}
  for index, limit in ipairs(found) do
    if limit.headers then
      local remaining, reset = answer[2 * index], seconds(answer[2 * index + 1])
      left[#left + 1] = string.format('"%s";r=%d;t=%d', limit.name, remaining, reset)
      policies[#policies + 1] = string.format('"%s";q=%d;w=%d', limit.name, limit.limit, limit.window)
    end
  end
  ngx.var.rate_limit = table.concat(left, ', ')
  ngx.var.rate_limit_policy = table.concat(policies, ', ')
end

local told = 0

local function uncounted(found, problem)
  -- Once in ten seconds from each worker: a log that fills the disk helps nobody.
  if ngx.now() - told > 10 then
    told = ngx.now()
    complain('limits cannot be counted: ', problem)
  end
  for _, limit in ipairs(found) do
    if limit.closed then
      ngx.var.retry_after = 1
      ngx.var.refused = 'uncounted'
      return ngx.exit(ngx.HTTP_SERVICE_UNAVAILABLE)
    end
  end
end

--- Lets the request pass, or ends it with 429, or with 503 where it cannot be counted and must be.
local function enforce(names)
  local found, keys, arguments = applicable(names)
  local answer, problem = counter.ask(secrets.redis, script, keys, arguments)
  if not answer then return uncounted(found, problem) end
  announce(found, answer)
  if answer[1] > 0 then
    ngx.var.retry_after = seconds(answer[1])
    ngx.var.refused = 'limit'
    return ngx.exit(ngx.HTTP_TOO_MANY_REQUESTS)
  end
end

return { enforce = enforce }
