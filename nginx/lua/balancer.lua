-- Chooses the replica that gets a request, and counts what is on its way to each.
local balancer = require "ngx.balancer"
local complain = require "complaint"
local replicas = require "replicas"

local M = {}

local load = ngx.shared.edge_load
local MAX_TRIES = 3
local turn = 0

-- What a cookie calls a replica.
local function tag(peer)
  return string.format("%08x", ngx.crc32_short(peer.name))
end

local EMPTY = { peers = {}, up = {} }

local function usable(peers, tried)
  local up, rest = {}, {}
  for _, peer in ipairs(peers) do
    if not tried[peer.name] then
      local list = peer.state == "up" and up or rest
      list[#list + 1] = peer
    end
  end
  -- A sick replica is better than none.
  return #up > 0 and up or rest
end

local function in_turn(peers)
  turn = turn + 1
  return peers[turn % #peers + 1]
end

-- The same client meets the same replica as long as it is there, whichever others come and go.
local function by_client(peers)
  local best, best_weight
  for _, peer in ipairs(peers) do
    local weight = ngx.crc32_short(ngx.md5_bin(ngx.var.remote_addr .. peer.name))
    if not best or weight > best_weight then best, best_weight = peer, weight end
  end
  return best
end

-- One of each service, as a host may have several; $cookie_NAME has no other signs.
local function cookie_of(service)
  return "holdfast_replica_" .. service:gsub("-", "_")
end

local function by_cookie(peers, service)
  local cookie = cookie_of(service)
  local wish = ngx.var["cookie_" .. cookie]
  for _, peer in ipairs(peers) do
    if tag(peer) == wish then return peer end
  end
  local peer = in_turn(peers)
  ngx.var.replica_tag = cookie .. "=" .. tag(peer)
  return peer
end

local CHOICES = { ip = by_client, cookie = by_cookie, no = in_turn }

-- What the config says of a place, by how it writes it: one variable takes a third of the time of three.
local routes = {}

local function route()
  local text = ngx.var.route
  local known = routes[text]
  if not known then
    local service, port, sticky = text:match("^(%S+) (%S+) (%S+)$")
    known = { service = service, port = tonumber(port), choose = CHOICES[sticky] }
    routes[text] = known
  end
  return known
end

local function leave()
  local key = ngx.var.replica_load
  if key and key ~= "" then load:incr(key, -1) end
end

-- Names of counters by kind and replica: this worker counts each by itself.
local counters = { requests = {}, webSockets = {} }

local function counter_of(kind, name)
  local key = counters[kind][name]
  if not key then
    key = kind .. " " .. ngx.worker.pid() .. " " .. name
    counters[kind][name] = key
  end
  return key
end

local function enter(peer)
  local kind = ngx.var.websocket_upgrade == "websocket" and "webSockets" or "requests"
  local key = counter_of(kind, peer.name)
  load:incr(key, 1, 0)
  ngx.var.replica_load = key
end

local function use(peer, port)
  enter(peer)
  local ok, err = balancer.set_current_peer(peer.address, port)
  if not ok then complain("the replica ", peer.name, " cannot be used: ", err) end
end

-- The replica that has failed is not asked again while there is another.
local function pick_again(service)
  local tried = ngx.ctx.tried or {}
  ngx.ctx.tried = tried
  local last = (ngx.var.replica_load or ""):match("(%S+)$")
  if last then tried[last] = true end
  leave()
  local free = usable(service.peers, tried)
  -- nginx asks again for the only one when it had closed a connection that was kept open.
  if #free == 0 then free = service.peers end
  return free
end

function M.pick()
  local here = route()
  local service = replicas.live().services[here.service] or EMPTY
  local free
  if balancer.get_last_failure() then
    free = pick_again(service)
  else
    -- A sick replica is better than none.
    free = #service.up > 0 and service.up or service.peers
    if #service.peers > 1 then balancer.set_more_tries(math.min(#service.peers, MAX_TRIES) - 1) end
  end
  -- Nobody listens there, which is a 502 as for any server that is gone. To leave without a peer is a 500.
  if #free == 0 then return balancer.set_current_peer("127.0.0.1", 1) end
  local peer = #free > 1 and here.choose(free, here.service) or free[1]
  use(peer, service.port or here.port)
end

M.leave = leave

return M
