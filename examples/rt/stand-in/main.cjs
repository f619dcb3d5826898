'use strict';
// Stands in for every container of RT: it answers with who it is and what it was asked.
const { createServer } = require('node:http');
const { hostname } = require('node:os');
const { NAME, PORT, FAULT } = process.env;

if (FAULT) {
  console.error(FAULT);
  process.exit(1);
}

const server = createServer((request, response) => {
  const { method, url, headers } = request;
  let bytes = 0;
  request.on('data', (chunk) => {
    bytes += chunk.length;
  });
  request.on('end', () => {
    const answer = {
      name: NAME,
      port: Number(PORT),
      replica: hostname(),
      method,
      url,
      headers,
      bytes,
    };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer));
  });
});
server.keepAliveTimeout = 75_000;
server.listen(Number(PORT));
process.once('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
