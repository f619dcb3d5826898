-- Runs inside Redis, at once and alone: counts one request against every limit that holds for it, or against
-- none when one of them is used up.
--
-- KEYS: for each limit three lists of times within the window: of the accepted requests of what the client shows, of
-- those that are counted by its address, and of values that the address began to use.
-- ARGV: for each limit its limit, its window in microseconds, and how many values an address may begin to use: one more
-- is counted by the address. 0 is for any number.
-- Answer: microseconds to wait (0: accepted), then for each limit what is left, and the microseconds until its
-- oldest request leaves the window.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local wait = 0
local lists = {}

local function entry(key, index)
  return tonumber(redis.call('LINDEX', key, index))
end

-- How many times of a list are within the window; the others go.
local function current(key, window)
  local length = redis.call('LLEN', key)
  if length > 0 and entry(key, -1) > now + window then
    -- The clock was set back: what it wrote then says nothing.
    redis.call('DEL', key)
    length = 0
  end
  if length > 0 and entry(key, 0) <= now - window then
    -- The first entry still within the window, by halving.
    local low, high = 1, length
    while low < high do
      local middle = math.floor((low + high) / 2)
      if entry(key, middle) <= now - window then low = middle + 1 else high = middle end
    end
    redis.call('LTRIM', key, low, -1)
    length = length - low
  end
  return length
end

local function add(key, length, window)
  -- Never before the last one: entries stay in order when the clock is set back a little.
  local last = length > 0 and entry(key, -1) or 0
  redis.call('RPUSH', key, string.format('%.0f', math.max(now, last)))
  redis.call('PEXPIRE', key, math.ceil(window / 1000))
end

for number = 1, #KEYS / 3 do
  local key, address, newcomers = KEYS[3 * number - 2], KEYS[3 * number - 1], KEYS[3 * number]
  local limit, window = tonumber(ARGV[3 * number - 2]), tonumber(ARGV[3 * number - 1])
  local most_new = tonumber(ARGV[3 * number])
  local list = { key = key, length = current(key, window), limit = limit, window = window }
  if list.length == 0 and most_new > 0 then
    local begun = current(newcomers, window)
    if begun < most_new then
      list.newcomers, list.begun = newcomers, begun
    else
      list.key, list.length = address, current(address, window)
    end
  end
  if list.length >= limit then
    wait = math.max(wait, entry(list.key, list.length - limit) + window - now)
  end
  lists[number] = list
end

local answer = { wait }
for number, list in ipairs(lists) do
  if wait == 0 then
    add(list.key, list.length, list.window)
    list.length = list.length + 1
    if list.newcomers then add(list.newcomers, list.begun, list.window) end
  end
  answer[2 * number] = math.max(list.limit - list.length, 0)
  answer[2 * number + 1] = list.length > 0 and entry(list.key, 0) + list.window - now or 0
end
return answer
