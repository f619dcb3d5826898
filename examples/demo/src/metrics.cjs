'use strict';

const requests = new Map();
let seconds = 0;

/** Call at the start of a request; the result is called with its status. */
function observe(method) {
  const start = process.hrtime.bigint();
  return (status) => {
    const key = `method="${method}",code="${status}"`;
    requests.set(key, (requests.get(key) ?? 0) + 1);
    seconds += Number(process.hrtime.bigint() - start) / 1e9;
  };
}

/** Prometheus text format 0.0.4. */
function text() {
  const lines = ['# TYPE demo_requests_total counter'];
  for (const [labels, count] of requests) lines.push(`demo_requests_total{${labels}} ${count}`);
  lines.push('# TYPE demo_request_seconds_total counter', `demo_request_seconds_total ${seconds}`);
  return `${lines.join('\n')}\n`;
}

module.exports = { observe, text };
