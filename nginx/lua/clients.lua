-- How many requests each client has open at once, in all workers together. Not by limit_conn: ModSecurity reads a body
-- before that looks, and a body that never ends would not be counted.
local M = {}

local open = ngx.shared.clients
local most = 0

-- Called in every worker; `limit` is what one client may have open, 0 for any number.
function M.start(limit)
  most = tonumber(limit)
end

-- Of an IPv6 address the first half: a household has all that follow it.
local function client()
  return ngx.var.binary_remote_addr:sub(1, 8)
end

local function forget(key)
  if (open:incr(key, -1) or 0) <= 0 then open:delete(key) end
end

--- For every request, first and once: false where its client has too many others.
function M.enter()
  if most == 0 then return true end
  local key = client()
  -- Where the memory is full, those that came long ago are forgotten, and more pass.
  local count = open:incr(key, 1, 0)
  if not count or count <= most or ngx.var.is_proxy == "1" then return true end
  forget(key)
  ngx.var.refused = "at-once"
  return false
end

--- When a request that could enter has ended, however it did.
function M.leave()
  if most > 0 then forget(client()) end
end

return M
