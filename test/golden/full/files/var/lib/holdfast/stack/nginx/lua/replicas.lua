-- The live list of replicas: read from the state file, resolved through the engine's DNS by one worker,
-- shared with all. See docs/decisions/edge-upstreams.md.
local json = require "cjson.safe"
local resolver = require "nginx.dns.resolver"
local closing = require "closing"
local maintenance = require "maintenance"

local STATE_FILE = "/run/holdfast/edge/services.json"
local NAME_SERVER = "127.0.0.11"
-- Seconds.
local LOOK_EVERY = 0.1
local RESOLVE_EVERY = 1
-- Names whose container is stopped may be forwarded by the engine to a server that never answers.
local NAME_TIMEOUT_MS = 500
-- How long an address outlives its last answer, by a name server that answers others.
local KEEP_ADDRESS = 5

local M = {}

local shared = ngx.shared.edge
local adopted_edition, adopted = nil, { generation = 0, services = {} }

local function adopt(text)
  local live = text and json.decode(text) or { generation = 0, services = {} }
  for _, service in pairs(live.services) do
    service.up = {}
    for _, peer in ipairs(service.peers) do
      if peer.state == "up" then service.up[#service.up + 1] = peer end
    end
  end
  return live
end

-- What each worker routes by; any change of the shared list counts from the very next request. Its edition is looked
-- at rather than its text, which is long where services are many.
function M.live()
  local edition = shared:get("edition")
  if edition ~= adopted_edition then
    adopted_edition = edition
    adopted = adopt(shared:get("live"))
  end
  return adopted
end

local function read_state()
  local file = io.open(STATE_FILE, "rb")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end

-- Nil for what is no state of ours: the last good one stays in force.
local function decode_state(text)
  local state = text and json.decode(text)
  if type(state) ~= "table" or state.version ~= 1 or type(state.services) ~= "table" then return nil end
  return state
end

local addresses, answered_at = {}, {}
local last_answer = 0

-- Replicas that the state does not name are known as this where DNS alone tells of them.
local function name_of(peer)
  return peer.name:match("^(.-)@") or peer.name
end

-- What the worker before knew outlives a name server that is slow just now, as what this one knows would.
local function inherit(live)
  for _, service in pairs(live.services) do
    for _, peer in ipairs(service.peers) do
      local name = name_of(peer)
      addresses[name] = addresses[name] or {}
      table.insert(addresses[name], peer.address)
      answered_at[name] = ngx.now()
    end
  end
end

local function resolve(name)
  local dns = resolver:new { nameservers = { NAME_SERVER }, timeout = NAME_TIMEOUT_MS, retrans = 1 }
  local answers = dns and dns:query(name, { qtype = resolver.TYPE_A })
  if not answers then return end
  local found = {}
  for _, answer in ipairs(answers) do
    if answer.address then found[#found + 1] = answer.address end
  end
  table.sort(found)
  addresses[name], answered_at[name], last_answer = found, ngx.now(), ngx.now()
end

-- An engine that hangs answers nothing, and says nothing of any container by that.
local function forget_silent(names)
  for _, name in ipairs(names) do
    if last_answer - (answered_at[name] or 0) > KEEP_ADDRESS then addresses[name] = nil end
  end
end

-- All names at once, so that a slow one holds nobody up.
local function resolve_all(names)
  local threads = {}
  for _, name in ipairs(names) do threads[#threads + 1] = ngx.thread.spawn(resolve, name) end
  for _, thread in ipairs(threads) do ngx.thread.wait(thread) end
  forget_silent(names)
end

local function has(list, wanted)
  for _, one in ipairs(list or {}) do
    if one == wanted then return true end
  end
  return false
end

-- A service that the state does not name is reached by its name, as DNS has it.
local function peers_of(name, service)
  local peers = {}
  for _, replica in ipairs(service and service.replicas or {}) do
    local address = (addresses[replica.container] or {})[1]
    if address then
      peers[#peers + 1] = { name = replica.container, address = address, state = replica.state }
    end
  end
  if #peers == 0 then
    for _, address in ipairs(addresses[name] or {}) do
      peers[#peers + 1] = { name = name .. "@" .. address, address = address, state = "up" }
    end
  end
  return peers
end

local function still_there(service)
  local peers = {}
  for _, peer in ipairs(service and service.peers or {}) do
    if has(addresses[name_of(peer)], peer.address) then
      peers[#peers + 1] = { name = peer.name, address = peer.address, state = peer.state }
    end
  end
  return peers
end

-- Where nothing of what is wanted can be found yet, what served until now goes on.
local function service_of(name, service, before)
  local peers = peers_of(name, service)
  if #peers > 0 then return { port = service.port, peers = peers } end
  return { port = before and before.port or service.port, peers = still_there(before) }
end

-- During a reload two generations of workers run, and the older one may still be waiting for the DNS.
local function is_in_charge() return shared:get("in_charge") == ngx.worker.pid() end

-- The list before its edition: who sees the new edition finds the new list.
local function share(text)
  if not is_in_charge() or text == shared:get("live") then return end
  local ok, err = shared:set("live", text)
  if ok then ok, err = shared:incr("edition", 1, 0) end
  if not ok then ngx.log(ngx.ERR, "the list of replicas could not be shared: ", err) end
end

-- Services with a port in the state are on their way to a route: known before a reload, they are served at once after it.
local function known_services(state, routed)
  local known = {}
  for name in pairs(routed) do known[name] = state.services[name] or {} end
  for name, service in pairs(state.services) do
    if service.port then known[name] = service end
  end
  return known
end

-- What the state names, and what serves until that is found.
local function names_of(known, serving)
  local names = {}
  for name, service in pairs(known) do
    local replicas = service.replicas or {}
    if #replicas == 0 then names[name] = true end
    for _, replica in ipairs(replicas) do names[replica.container] = true end
    for _, peer in ipairs(serving[name] and serving[name].peers or {}) do names[name_of(peer)] = true end
  end
  local list = {}
  for name in pairs(names) do list[#list + 1] = name end
  return list
end

local function publish(state, routed)
  local known, serving = known_services(state, routed), M.live().services
  resolve_all(names_of(known, serving))
  local live = { generation = state.generation, services = {} }
  for name, service in pairs(known) do
    local now = service_of(name, service, serving[name])
    if routed[name] or #now.peers > 0 then live.services[name] = now end
  end
  share(json.encode(live))
end

local function follow(routed)
  local state = { generation = 0, services = {} }
  local text, is_bad, next_look = nil, false, 0
  shared:set("in_charge", ngx.worker.pid())
  inherit(M.live())
  while not ngx.worker.exiting() and is_in_charge() do
    closing.look()
    maintenance.look(routed)
    local now_text = read_state()
    local is_new = now_text ~= text
    if is_new then
      text = now_text
      local decoded = decode_state(text)
      if decoded then
        state = decoded
      elseif text and not is_bad then
        ngx.log(ngx.ERR, STATE_FILE, " is not a state: the last good one stays in force")
      end
      is_bad = decoded == nil
    end
    if is_new or ngx.now() >= next_look then
      publish(state, routed)
      closing.reloaded()
      next_look = ngx.now() + RESOLVE_EVERY
    end
    ngx.sleep(LOOK_EVERY)
  end
end

-- Called in every worker; the first one does the work, and its successor goes on when it ends.
-- `names` are the routed services.
function M.start(names)
  local routed = {}
  for _, name in ipairs(names) do routed[name] = true end
  -- Before the first request: what is closed stays so over a start of nginx.
  maintenance.look(routed, true)
  if ngx.worker.id() ~= 0 then return end
  local function run(premature)
    if premature then return end
    local ok, err = pcall(follow, routed)
    if not ok then
      ngx.log(ngx.ERR, "following the state of the replicas failed: ", err)
      ngx.timer.at(1, run)
    end
  end
  ngx.timer.at(0, run)
end

return M
