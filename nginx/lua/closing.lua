-- Before a reload, connections are closed in an orderly way: workers that end close those that are idle at once, and a
-- request that a client sends at that moment is lost (nginx 1.26 has no keepalive_min_timeout). So for a while every
-- answer says that it is the last of its connection, and the client opens another.
local M = {}

local shared = ngx.shared.edge
local REQUEST_FILE = "/tmp/holdfast-closing"
local RELOAD_FILE = "/tmp/holdfast-reloading"
-- A reload that never comes must not keep connections short for ever.
local LONGEST = 30

local started = ngx.now()

-- One worker looks at the file, whose removal says that all workers follow.
function M.look()
  local file = io.open(REQUEST_FILE, "rb")
  if not file then return end
  file:close()
  shared:set("closing", ngx.now(), LONGEST)
  os.remove(REQUEST_FILE)
end

-- Called when this worker has said where every service is; reload.sh waits for the file to go.
local is_first = true
function M.reloaded()
  if is_first then os.remove(RELOAD_FILE) end
  is_first = false
end

-- Workers of the new configuration keep theirs: they have begun after it was asked for.
function M.head()
  local since = shared:get("closing")
  if since and since >= started and ngx.req.http_version() < 2 and not ngx.is_subrequest then
    ngx.header["Connection"] = "close"
  end
end

return M
