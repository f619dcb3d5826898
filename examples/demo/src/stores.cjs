'use strict';
const { Pool } = require('pg');
const { createClient } = require('redis');

/** Opens Postgres and Redis from the addresses that holdfast injects. */
async function openStores() {
  const database = new Pool({
    connectionString: process.env.DATABASE_URL,
    max: 5,
    connectionTimeoutMillis: 3000,
  });
  database.on('error', (error) => {
    console.error(
      JSON.stringify({ level: 'warn', message: `idle database connection: ${error.message}` }),
    );
  });
  const cache = createClient({ url: process.env.REDIS_URL, disableOfflineQueue: true });
  cache.on('error', (error) => {
    console.error(JSON.stringify({ level: 'warn', message: `redis: ${error.message}` }));
  });
  // A server without Redis still answers; /health tells.
  cache.connect().catch((error) => {
    console.error(JSON.stringify({ level: 'warn', message: `redis: ${error.message}` }));
  });
  return {
    async notes() {
      const { rows } = await database.query(
        'SELECT id, body, created_at FROM note ORDER BY id DESC LIMIT 50',
      );
      return rows;
    },
    async addNote(body) {
      const { rows } = await database.query(
        'INSERT INTO note (body) VALUES ($1) RETURNING id, body, created_at',
        [body],
      );
      return rows[0];
    },
    visits: () => cache.incr('demo:visits'),
    async health() {
      const [db, redis] = await Promise.allSettled([database.query('SELECT 1'), cache.ping()]);
      return {
        database: db.status === 'fulfilled' ? 'ok' : 'down',
        redis: redis.status === 'fulfilled' ? 'ok' : 'down',
      };
    },
    async close() {
      await database.end();
      if (cache.isOpen) await cache.disconnect();
    },
  };
}

module.exports = { openStores };
