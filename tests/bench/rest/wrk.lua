-- Asks for the paths listed in a file, in turn; prints the figures as one line of JSON.
-- wrk -s wrk.lua URL -- FILE
local requests, at = {}, 0

function init(args)
  for path in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("GET", path)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"per_s": %.1f, "p50_ms": %.3f, "p95_ms": %.3f, "bytes": %.0f, "failed": %d}\n',
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3, latency:percentile(95) / 1e3,
    summary.bytes / summary.requests, errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
