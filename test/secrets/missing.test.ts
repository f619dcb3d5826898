import t from 'tap';
import { AppError } from '../../installer/errors.ts';
import { Secret } from '../../installer/model/secret.ts';
import type { SecretNeed } from '../../installer/model/secret-need.ts';
import { generateMissing } from '../../installer/secrets/missing.ts';
import { MemoryHost } from '../support/memory-host.ts';

const person = (name: string, usedBy: string, optional = false): SecretNeed => ({
  name,
  optional,
  usedBy,
});
const made = (name: string, kind: 'password' | 'hex', bytes: number): SecretNeed => ({
  ...person(name, 'postgres'),
  generate: { kind, bytes },
});

t.test('one message lists all that a person has to set, with the command for each', async (t) => {
  const needs = [
    person('SMTP_PASSWORD', 'services.web, services.api'),
    person('SENTRY_DSN', 'services.web', true),
    person('PAGER', 'alerting'),
    made('DB_PASSWORD', 'password', 32),
  ];
  const failure = await generateMissing(new MemoryHost(), needs, new Map()).catch((error) => error);
  t.type(failure, AppError);
  t.equal(failure.code, 'secret/missing');
  t.equal(failure.what, '2 secrets are not set; nothing was changed');
  t.equal(
    failure.why,
    'SMTP_PASSWORD  needed by services.web, services.api\nPAGER          needed by alerting',
  );
  t.equal(failure.hint, 'holdfast secrets set SMTP_PASSWORD\nholdfast secrets set PAGER');
});

t.test('what can be made is made once: a stored value is kept', async (t) => {
  const host = new MemoryHost();
  const needs = [made('A', 'password', 32), made('B', 'hex', 16), made('C', 'password', 32)];
  const stored = new Map([['C', new Secret('mine')]]);
  const first = await generateMissing(host, needs, stored);
  t.strictSame([...first.keys()], ['A', 'B']);
  t.match(first.get('A')?.reveal(), /^[\w-]{43}$/);
  t.match(first.get('B')?.reveal(), /^[0-9a-f]{32}$/);
  const second = await generateMissing(host, needs, stored);
  t.not(second.get('A')?.reveal(), first.get('A')?.reveal(), 'random');
  t.equal((await generateMissing(host, needs, new Map([...stored, ...first]))).size, 0);
  t.strictSame(host.effects.transcript, [], 'nothing is stored here');
});

t.test('a password that clients would spell differently is refused by name, unseen', async (t) => {
  const needs = [made('DB_PASSWORD', 'password', 32), person('SMTP_PASSWORD', 'services.web')];
  const odd = new Secret('pässword');
  const stored = new Map([
    ['DB_PASSWORD', odd],
    ['SMTP_PASSWORD', odd],
  ]);
  const failure = await generateMissing(new MemoryHost(), needs, stored).catch((error) => error);
  t.type(failure, AppError);
  t.equal(failure.code, 'secret/not-ascii');
  t.match(failure.what, /^DB_PASSWORD: /);
  t.equal(failure.hint, 'holdfast secrets set DB_PASSWORD');
  t.notMatch(JSON.stringify([failure, failure.message]), 'pässword');
});
