-- Requests to buckets that answer nobody without a signature. Written by holdfast from config.yaml.
local cjson = require 'cjson'
local signature = require 'buckets.signature'
local ngx = ngx

local function content(path)
  local file = assert(io.open(path, 'rb'))
  local text = file:read('*a')
  file:close()
  return text
end

-- By host of the cache; nobody but nginx may read it. A reload starts new workers, which read anew.
local buckets = cjson.decode(content('/etc/nginx/certificates/buckets.secrets.json'))
local requests = {}

--- Says where the object of this request is, and signs for it. Ends the request where the host wants signed URLs
-- and this is none.
function requests.prepare(host)
  local bucket, var = buckets[host], ngx.var
  local path = signature.path(var.path_without_query)
  if not path then return ngx.exit(ngx.HTTP_NOT_FOUND) end
  if bucket.signedUrls and not signature.holds(bucket, host, var.request_method, path, var.args or '') then
    return ngx.exit(ngx.HTTP_FORBIDDEN)
  end
  local whole = signature.path(bucket.prefix) .. path
  var.cache_object = path
  var.cache_place = bucket.base .. whole
  var.cache_origin_host = bucket.host
  var.cache_authorization, var.cache_date, var.cache_digest = signature.headers(bucket, whole)
end

return requests
