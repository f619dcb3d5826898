import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { secretsInForce } from '../../installer/cli/secrets-in-force.ts';
import { components } from '../../installer/components/registry.ts';
import { LocalHost } from '../../installer/host/local.ts';
import { Secret } from '../../installer/model/secret.ts';
import { sha256 } from '../../installer/plan/files.ts';
import { configOf, inputOf } from '../support/component-input.ts';
import { renderWith } from '../support/component-render.ts';

const CONFIG = configOf(`
tls: { issuer: selfsigned }
monitoring: { grafana: { enabled: false } }
services:
  web: { image: "acme/web:1", port: 3000, uses: [postgres], secrets: [ZONE, API_KEY, "OWN?"] }
accessories:
  search: { image: "acme/search:1", secrets: [ZONE, API_KEY] }
`);
const pair = { certificate: 'certificate\n', key: new Secret('key\n') };

function textsWith(stored: Record<string, string>, more: object = {}) {
  const input = inputOf(CONFIG, components, { stored });
  const certificates = new Map([['app.example.com', pair]]);
  const { files, specs } = renderWith(components, { ...input, certificates, ...more });
  return {
    files: Object.fromEntries([...files].map(([path, { content }]) => [path, content])),
    specs: Object.fromEntries(specs),
  };
}

t.test('a value that waits for its apply reaches no container before', async (t) => {
  const stack = t.testdir({});
  const path = join(stack, 'compose.secrets.yaml');
  const odd = 'pa$$word ${HOME} $1 "q" \\ \n\u2028 é';
  const before = textsWith({ API_KEY: odd, ZONE: 'eu' });
  const text = before.files['/var/lib/holdfast/stack/compose.secrets.yaml'] ?? '';
  writeFileSync(path, text);
  const inForce = (files: Record<string, string>, intents: Record<string, string> = {}) =>
    secretsInForce(new LocalHost(), { stack }, { files, intents });
  const secrets = await inForce({ [path]: sha256(text) });
  const waiting = { API_KEY: 'new', ZONE: 'us', OWN: 'first value' };
  t.notSame(textsWith(waiting), before, 'an apply brings it');
  t.strictSame(textsWith(waiting, { secretsInForce: secrets }), before);
  t.ok(await inForce({}, { [path]: sha256(text) }), 'also of an apply that was killed');
  t.equal(await inForce({ [path]: sha256('ours') }), undefined, 'not what somebody else wrote');
  t.equal(
    await secretsInForce(new LocalHost(), { stack: '/none' }, { files: {}, intents: {} }),
    undefined,
  );
});
