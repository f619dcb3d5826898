'use strict';
const { createServer } = require('node:http');
const { openStores } = require('./stores.cjs');
const { handleRequest } = require('./routes.cjs');
const { attachEcho } = require('./echo.cjs');
const metrics = require('./metrics.cjs');

async function main() {
  const stores = await openStores();
  const server = createServer((request, response) => {
    const done = metrics.observe(request.method);
    response.on('finish', () => done(response.statusCode));
    handleRequest(request, response, stores).catch((error) => {
      console.error(JSON.stringify({ level: 'error', url: request.url, message: error.message }));
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' });
      response.end('internal error\n');
    });
  });
  // Longer than nginx keeps an idle connection: it must be the one who closes.
  server.keepAliveTimeout = 75_000;
  const echo = attachEcho(server);
  server.listen(Number(process.env.PORT ?? 3000), () => {
    console.log(
      JSON.stringify({ level: 'info', message: 'listening', port: server.address().port }),
    );
  });

  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, () => {
      console.log(JSON.stringify({ level: 'info', message: 'draining', signal }));
      for (const client of echo.clients) client.close(1012, 'service restart');
      server.close(async () => {
        await stores.close();
        process.exit(0);
      });
      server.closeIdleConnections();
    });
  }
}

main().catch((error) => {
  console.error(JSON.stringify({ level: 'fatal', message: error.message }));
  process.exit(1);
});
