'use strict';
const { createServer } = require('node:http');
const { createWriteStream, readdirSync } = require('node:fs');
const { hostname } = require('node:os');
const { pipeline } = require('node:stream/promises');
const { Pool } = require('pg');
const { WebSocketServer } = require('ws');

const database = new Pool({
  connectionString: process.env.DATABASE_URL,
  max: 20,
  connectionTimeoutMillis: 3000,
});
database.on('error', (error) => console.error(`idle database connection: ${error.message}`));
const held = [];

const routes = {
  'GET /api/health': () => ({ status: 'ok' }),
  'GET /api/health/db': async () => {
    await database.query('SELECT 1');
    return { database: 'ok' };
  },
  'GET /api/echo': (request) => ({
    replica: hostname(),
    url: request.url,
    headers: request.headers,
    environment: { NODE_ENV: process.env.NODE_ENV, SMTP_FROM_NAME: process.env.SMTP_FROM_NAME },
  }),
  'GET /api/attendees': async () =>
    (await database.query('SELECT id, name FROM attendee ORDER BY id')).rows,
  'POST /api/attendees': async (request) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { name } = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    return (
      await database.query('INSERT INTO attendee (name) VALUES ($1) RETURNING id, name', [name])
    ).rows[0];
  },
  'POST /api/upload': async (request) => {
    const name = `${Date.now()}-${Math.random().toString(36).slice(2)}`;
    const file = createWriteStream(`/app/uploads/${name}`);
    await pipeline(request, file);
    return { name, bytes: file.bytesWritten };
  },
  'GET /api/uploads': () => readdirSync('/app/uploads'),
  // Keeps memory until the limit of the container ends it: for the test of that limit.
  'POST /api/hold-memory': () => {
    for (let index = 0; index < 40; index += 1) held.push(Buffer.alloc(64 * 1024 ** 2, 1));
    return { held: held.length };
  },
  'GET /socket.io/': () => ({ replica: hostname() }),
};

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, 'http://attendee');
  const route = routes[`${request.method} ${pathname}`];
  const send = (status, value) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(value));
  };
  if (route === undefined) return send(404, { error: 'not found' });
  try {
    send(200, await route(request));
  } catch (error) {
    console.error(`${request.method} ${pathname}: ${error.message}`);
    send(503, { error: 'unavailable' });
  }
});
server.keepAliveTimeout = 75_000;

const sockets = new WebSocketServer({ server, path: '/socket.io/' });
sockets.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});

server.listen(Number(process.env.PORT ?? 3000));
process.once('SIGTERM', () => {
  for (const socket of sockets.clients) socket.close(1012);
  server.close(() => database.end().then(() => process.exit(0)));
  server.closeIdleConnections();
});
