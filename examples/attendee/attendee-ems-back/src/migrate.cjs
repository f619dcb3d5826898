'use strict';
const { Client } = require('pg');

async function main() {
  const client = new Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  await client.query(
    'CREATE TABLE IF NOT EXISTS attendee (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE)',
  );
  await client.end();
  console.log('All migrations have been successfully applied.');
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
