'use strict';

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const html = (text) => text.replace(/[&<>"']/g, (character) => ENTITIES[character]);

/** The one page: notes from Postgres, a visit counter from Redis. */
function page(notes, visits) {
  const items = notes
    .map(
      ({ body, created_at }) =>
        `<li><time>${created_at.toISOString().slice(0, 16).replace('T', ' ')}</time> ${html(body)}</li>`,
    )
    .join('');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>holdfast demo</title>
<style>
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; color: #123; background: #f6f8f7 }
h1 { font-weight: 600 } time { color: #678; margin-right: .6rem; font-variant-numeric: tabular-nums }
ul { list-style: none; padding: 0 } li { padding: .5rem 0; border-bottom: 1px solid #dde4e1; overflow-wrap: anywhere }
form { display: flex; gap: .5rem } input { flex: 1; font: inherit; padding: .5rem; border: 1px solid #9ab }
button { font: inherit; padding: .5rem 1rem; border: 0; background: #1d5c4c; color: #fff }
</style>
</head>
<body>
<h1>It holds.</h1>
<p>Visits counted by Redis: <strong>${visits}</strong>. Notes kept by Postgres: <strong>${notes.length}</strong>.</p>
<form method="post" action="/notes"><input name="body" aria-label="Note" placeholder="A note worth keeping" required maxlength="500"><button>Keep</button></form>
<ul>${items}</ul>
</body>
</html>
`;
}

module.exports = { page };
