-- What every request begins and ends with, in one call each: a call into Lua takes as long as what is done in it.
local balancer = require "balancer"
local clients = require "clients"
local maintenance = require "maintenance"
local request_id = require "request-id"

local M = {}

local ON_ITS_WAY_TO_A_PAGE = { refused = "turned away", ["turned away"] = "turned away", some = "some" }

--- `refused` where its client has too many others; `on` where all is closed for maintenance, `some` where a service may
--- be; else `open`. nginx comes by once more on its way to a page, which every request may see.
function M.enter()
  local before = ngx.var.gate
  if before and before ~= "" then return ON_ITS_WAY_TO_A_PAGE[before] or "open" end
  request_id.give()
  if not clients.enter() then return "refused" end
  return maintenance.of_all()
end

--- When a request has ended, however it did.
function M.leave()
  local gate = ngx.var.gate
  -- Requests for hosts that nobody configured never came by.
  if not gate or gate == "" then return end
  if gate ~= "refused" and gate ~= "turned away" then clients.leave() end
  balancer.leave()
end

return M
