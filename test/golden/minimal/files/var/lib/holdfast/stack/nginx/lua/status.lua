-- For whoever waits for a switch or a drain: what is in force, and what is on its way to each replica.
local json = require "cjson.safe"
local maintenance = require "maintenance"
local replicas = require "replicas"

local M = {}

local load = ngx.shared.edge_load

local function is_alive(pid)
  local file = io.open("/proc/" .. pid .. "/stat", "rb")
  if not file then return false end
  file:close()
  return true
end

local function in_flight()
  local sums = {}
  for _, key in ipairs(load:get_keys(0)) do
    local kind, pid, name = key:match("^(%S+) (%S+) (%S+)$")
    local count = load:get(key) or 0
    if not is_alive(pid) then
      -- A worker that was killed could not count down.
      load:delete(key)
    elseif count > 0 then
      sums[name] = sums[name] or { requests = 0, webSockets = 0 }
      sums[name][kind] = sums[name][kind] + count
    end
  end
  return sums
end

function M.answer()
  local live = replicas.live()
  local services = {}
  for name, service in pairs(live.services) do
    local peers = {}
    for _, peer in ipairs(service.peers) do
      peers[peer.name] = { address = peer.address, state = peer.state }
    end
    services[name] = peers
  end
  ngx.header["Content-Type"] = "application/json"
  ngx.say(json.encode {
    generation = live.generation,
    services = services,
    inFlight = in_flight(),
    maintenance = maintenance.status(),
  })
end

return M
