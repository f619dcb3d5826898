-- What a visitor sees when the firewall ends his request. Not by error_page: nginx would begin the request anew
-- inside, and ModSecurity lose what it has to log.
local ngx = ngx

-- Between ModSecurity and us; see nginx/waf.conf.
local REFUSAL = 470

local function content(path)
  local file = assert(io.open(path, 'rb'))
  local text = file:read('*a')
  file:close()
  return text
end

local page = content('/etc/nginx/holdfast/errors/403.html')
local refusal = {}

--- Turns the refusal into 403. An answer of a service has a status of its own, whatever it is.
function refusal.head()
  if ngx.status ~= REFUSAL or ngx.var.upstream_status then return end
  ngx.status = ngx.HTTP_FORBIDDEN
  ngx.header['Content-Type'] = 'text/html; charset=utf-8'
  ngx.header['Content-Length'] = #page
  ngx.header['Cache-Control'] = 'no-store'
  -- For whoever asks why: the same stands in the log.
  ngx.header['X-Request-Id'] = ngx.var.edge_request_id
  ngx.var.refused = 'waf'
  ngx.ctx.page = page
end

function refusal.body()
  if not ngx.ctx.page then return end
  ngx.arg[1], ngx.arg[2] = ngx.ctx.page, true
  ngx.ctx.page = ''
end

return refusal
