-- Says what is wrong in nginx's log, from within a request but without it: nginx would add the query, which may hold tokens.
local function say(_, text)
  ngx.log(ngx.CRIT, text)
end

return function(...)
  ngx.timer.at(0, say, table.concat({ ... }))
end
