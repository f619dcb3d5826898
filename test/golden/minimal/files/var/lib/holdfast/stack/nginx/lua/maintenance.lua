-- What is closed for maintenance. Files say so; one worker looks at them ten times a second, and all follow from their
-- very next request. A look at files for each request took a sixth of nginx's time.
local M = {}

local FOLDER = "/etc/nginx/holdfast/maintenance/"

local shared = ngx.shared.edge
local adopted_edition, adopted

local function lines_of(path)
  local file = io.open(FOLDER .. path, "rb")
  if not file then return nil end
  local lines = {}
  for line in file:lines() do lines[#lines + 1] = line end
  file:close()
  return lines
end

local function parts()
  return (shared:get("maintenance") or "||"):match("^(.-)|(.-)|(.*)$")
end

local function set_of(words)
  local set = {}
  for word in words:gmatch("%S+") do set[word] = true end
  return set
end

-- `services` has the names that are routed as keys. With `is_first`, services that are closed already are looked at as
-- well: workers of the configuration before may still have requests for one that is no longer routed.
local function look(services, is_first)
  local names = {}
  for name in pairs(services) do names[name] = true end
  if is_first then
    local _, before = parts()
    for name in pairs(set_of(before)) do names[name] = true end
  end
  local closed = {}
  for name in pairs(names) do
    if lines_of("services/" .. name) then closed[#closed + 1] = name end
  end
  table.sort(closed)
  local all = lines_of("all.on") and "on" or ""
  local text = table.concat({ all, table.concat(closed, " "), table.concat(lines_of("guests.list") or {}, " ") }, "|")
  if text == shared:get("maintenance") then return end
  local ok, err = shared:set("maintenance", text)
  if ok then ok, err = shared:incr("maintenance_edition", 1, 0) end
  if not ok then ngx.log(ngx.ERR, "what is closed for maintenance could not be shared: ", err) end
end

-- What cannot be read leaves all as it is: it must never keep a worker from routing.
function M.look(services, is_first)
  local ok, err = pcall(look, services, is_first)
  if not ok then ngx.log(ngx.ERR, "what is closed for maintenance could not be read: ", err) end
end

local function adopt()
  local all, services, guests = parts()
  if all == "" and services == "" then return nil end
  return { all = all == "on", services = set_of(services), guests = set_of(guests) }
end

-- `on` where all is closed to a request, `some` where a service may be, or `open`.
function M.of_all()
  local edition = shared:get("maintenance_edition")
  if edition ~= adopted_edition then adopted_edition, adopted = edition, adopt() end
  if not adopted or adopted.guests[ngx.var.remote_addr] then return "open" end
  return adopted.all and "on" or "some"
end

-- Then, where it may be, for the service that the request is for.
function M.of_service()
  return adopted and adopted.services[ngx.var.service] and "on" or "open"
end

-- For whoever waits until it is in force; words with spaces between.
function M.status()
  local all, services, guests = parts()
  return { all = all == "on", services = services, guests = guests }
end

return M
