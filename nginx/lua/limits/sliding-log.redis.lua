-- Runs inside Redis, at once and alone: counts one request against every limit that holds for it, or against
-- none when one of them is used up.
--
-- KEYS: one list for each limit and client: the times of its accepted requests within the window.
-- ARGV: for each key its limit and its window in microseconds.
-- Answer: microseconds to wait (0: accepted), then for each key what is left, and the microseconds until its
-- oldest request leaves the window.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local wait = 0
local lengths = {}

local function entry(key, index)
  return tonumber(redis.call('LINDEX', key, index))
end

for number, key in ipairs(KEYS) do
  local limit, window = tonumber(ARGV[2 * number - 1]), tonumber(ARGV[2 * number])
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
  if length >= limit then
    wait = math.max(wait, entry(key, length - limit) + window - now)
  end
  lengths[number] = length
end

local answer = { wait }
for number, key in ipairs(KEYS) do
  local limit, window = tonumber(ARGV[2 * number - 1]), tonumber(ARGV[2 * number])
  if wait == 0 then
    -- Never before the last one: entries stay in order when the clock is set back a little.
    local last = lengths[number] > 0 and entry(key, -1) or 0
    redis.call('RPUSH', key, string.format('%.0f', math.max(now, last)))
    redis.call('PEXPIRE', key, math.ceil(window / 1000))
    lengths[number] = lengths[number] + 1
  end
  answer[2 * number] = math.max(limit - lengths[number], 0)
  answer[2 * number + 1] = lengths[number] > 0 and entry(key, 0) + window - now or 0
end
return answer
