-- The requests that wrk sends: `wrk … --script load.lua URL -- METHOD PATH TOKENS [CALLER]`.
-- TOKENS is a file with one token a line; each request has the next one, as its Bearer token. With CALLER, that
-- is the Bearer token and the form has the token. PAUSE is the mean of the milliseconds between the requests of
-- a connection. Without it there is no pause.
local requests, next_request = {}, 0
local pause = tonumber(os.getenv("PAUSE"))

function init(arguments)
  local method, path, tokens, caller = unpack(arguments)
  for token in io.lines(tokens) do
    local headers, body = { ["Authorization"] = "Bearer " .. (caller or token) }, nil
    if caller then
      headers["Content-Type"] = "application/x-www-form-urlencoded"
      body = "token=" .. token
    end
    requests[#requests + 1] = wrk.format(method, path, headers, body)
  end
end

function request()
  next_request = next_request % #requests + 1
  return requests[next_request]
end

if pause then
  function delay()
    return math.random(pause / 2, pause * 3 / 2)
  end
end
