-- How many requests each client has open at once, in all workers together. Not by limit_conn: ModSecurity reads a body
-- before that looks, and a body that never ends would not be counted.
local M = {}

local open = ngx.shared.clients
local REFUSED = "refused"
local most = 0

-- Called in every worker; `limit` is what one client may have open, 0 for any number.
function M.start(limit)
  most = tonumber(limit)
end

local function forget(client)
  if (open:incr(client, -1) or 0) <= 0 then open:delete(client) end
end

--- For every request, first: the client that it counts for, nothing, or `refused` where that one has too many others.
function M.enter()
  if ngx.req.is_internal() then
    -- On its way to a page it is what it was; a refused one must reach its page.
    local before = ngx.var.counted_client
    return before ~= REFUSED and before or ""
  end
  if most == 0 or ngx.var.is_proxy == "1" then return "" end
  -- Of an IPv6 address the first half: a household has all that follow it.
  local client = ngx.var.binary_remote_addr:sub(1, 8)
  -- Where the memory is full, those that came long ago are forgotten, and more pass.
  local count = open:incr(client, 1, 0)
  if not count then return "" end
  if count <= most then return client end
  forget(client)
  ngx.var.refused = "at-once"
  return REFUSED
end

--- When a request has ended, however it did.
function M.leave()
  local client = ngx.var.counted_client
  if client and client ~= "" and client ~= REFUSED then forget(client) end
end

return M
