'use strict';
const { WebSocketServer } = require('ws');

/** A WebSocket at /echo that sends back what it gets. */
function attachEcho(server) {
  const echo = new WebSocketServer({ server, path: '/echo', maxPayload: 65_536 });
  echo.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  return echo;
}

module.exports = { attachEcho };
