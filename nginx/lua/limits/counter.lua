-- Asks Redis in one round trip. Every failure, a slow answer among them, is returned with its reason.
local ngx = ngx

local HOST = 'redis'
local PORT = 6379
-- Milliseconds for connecting, sending and reading: a request never waits longer for its counters.
local CONNECT, SEND, READ = 100, 100, 200
-- Connections that a worker keeps, and for how many milliseconds.
local KEPT, KEPT_FOR = 64, 30000
-- Seconds for which a worker does not try again after it could not connect.
local PAUSE = 1

local counter = {}
local resting_until = 0

local function encoded(words)
  local parts = { '*' .. #words }
  for _, word in ipairs(words) do
    word = tostring(word)
    parts[#parts + 1] = '$' .. #word
    parts[#parts + 1] = word
  end
  return table.concat(parts, '\r\n') .. '\r\n'
end

-- One reply: a value, or nil and why. An error that Redis answers comes with true: the connection is fine.
local function reply(socket)
  local line, problem = socket:receive('*l')
  if not line then return nil, problem end
  local kind, rest = line:sub(1, 1), line:sub(2)
  if kind == '+' then return rest end
  if kind == ':' then return tonumber(rest) end
  if kind == '-' then return nil, rest, true end
  if kind ~= '*' then return nil, 'a reply of an unexpected kind: ' .. kind end
  local values = {}
  for index = 1, tonumber(rest) do
    local value, why = reply(socket)
    if value == nil then return nil, why end
    values[index] = value
  end
  return values
end

local function connected(login)
  if ngx.now() < resting_until then return nil, 'not tried again yet' end
  local socket = ngx.socket.tcp()
  socket:settimeouts(CONNECT, SEND, READ)
  local done, problem = socket:connect(HOST, PORT)
  if not done then
    resting_until = ngx.now() + PAUSE
    return nil, 'cannot connect: ' .. problem
  end
  if socket:getreusedtimes() == 0 then
    local hello = encoded({ 'AUTH', login.user, login.password }) .. encoded({ 'SELECT', login.database })
    local sent, why = socket:send(hello)
    for _ = 1, 2 do
      if sent then sent, why = reply(socket) end
    end
    if not sent then
      socket:close()
      return nil, 'not let in: ' .. why
    end
  end
  return socket
end

local function answered(socket, words)
  local sent, problem = socket:send(encoded(words))
  if not sent then return nil, problem end
  return reply(socket)
end

--- What the script answers for these keys and arguments; nil and the reason when there is no answer.
function counter.ask(login, script, keys, arguments)
  local socket, problem = connected(login)
  if not socket then return nil, problem end
  local words = { 'EVALSHA', script.digest, #keys }
  for _, word in ipairs(keys) do words[#words + 1] = word end
  for _, word in ipairs(arguments) do words[#words + 1] = word end
  local values, why, spoken = answered(socket, words)
  if spoken and why:find('^NOSCRIPT') then
    -- Redis was started anew: EVAL makes it know the script again.
    words[1], words[2] = 'EVAL', script.text
    values, why, spoken = answered(socket, words)
  end
  if values or spoken then socket:setkeepalive(KEPT_FOR, KEPT) else socket:close() end
  return values, why
end

return counter
