'use strict';
const { page } = require('./page.cjs');
const metrics = require('./metrics.cjs');

const MAX_NOTE_BYTES = 4096;

async function handleRequest(request, response, stores) {
  const { pathname } = new URL(request.url, 'http://demo');
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const route = `${method} ${pathname}`;
  switch (route) {
    case 'GET /': {
      const [notes, visits] = await Promise.all([stores.notes(), stores.visits()]);
      return send(response, 200, 'text/html; charset=utf-8', page(notes, visits));
    }
    case 'GET /notes':
      return sendJson(response, 200, await stores.notes());
    case 'POST /notes': {
      const text = await readBody(request);
      if (text === undefined)
        return sendJson(response, 413, { error: 'a note holds 4096 bytes at most' });
      const isForm = request.headers['content-type'] === 'application/x-www-form-urlencoded';
      const body = isForm ? (new URLSearchParams(text).get('body') ?? '') : text;
      if (body === '') return sendJson(response, 400, { error: 'a note needs a text' });
      const note = await stores.addNote(body);
      if (!isForm) return sendJson(response, 201, note);
      response.writeHead(303, { location: '/' });
      return response.end();
    }
    case 'GET /health': {
      const parts = await stores.health();
      const isOk = Object.values(parts).every((part) => part === 'ok');
      return sendJson(response, isOk ? 200 : 503, { status: isOk ? 'ok' : 'down', ...parts });
    }
    case 'GET /metrics':
      return send(response, 200, 'text/plain; version=0.0.4', metrics.text());
    case 'GET /whoami':
      return sendJson(response, 200, {
        replica: require('node:os').hostname(),
        address: request.headers['x-forwarded-for'] ?? request.socket.remoteAddress,
        proto: request.headers['x-forwarded-proto'] ?? 'http',
        host: request.headers.host,
      });
    default:
      return sendJson(response, 404, { error: 'not found' });
  }
}

async function readBody(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_NOTE_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8').trim();
}

function sendJson(response, status, value) {
  send(response, status, 'application/json', `${JSON.stringify(value)}\n`);
}

function send(response, status, type, body) {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

module.exports = { handleRequest };
