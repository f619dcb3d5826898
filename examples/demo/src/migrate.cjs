'use strict';
const { Client } = require('pg');

/** Brings the schema to the newest version; running it again changes nothing. */
const STEPS = [
  'CREATE TABLE IF NOT EXISTS note (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL, created_at timestamptz NOT NULL DEFAULT now())',
];

async function main() {
  const client = new Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  await client.query('BEGIN');
  // Two migrations at once wait for each other instead of failing on the same CREATE.
  await client.query('SELECT pg_advisory_xact_lock(4711)');
  for (const step of STEPS) await client.query(step);
  await client.query('COMMIT');
  await client.end();
  console.log(`${STEPS.length} migration steps are in place`);
}

main().catch((error) => {
  console.error(`migration failed: ${error.message}`);
  process.exit(1);
});
