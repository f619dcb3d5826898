import t from 'tap';
import { renewCertificates } from '../../installer/acme/renew.ts';
import { AppError } from '../../installer/errors.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { MemoryHost } from '../support/memory-host.ts';

const HOUR = 3_600_000;
const NOW = new Date('2026-11-28T12:00:00Z');
const REAL = 'https://acme.example/dir';
const STAGING = 'https://staging.acme.example/dir';
const STATE = `${pathsUnder('').tls}/acme/state.json`;

/** What a run at one authority makes of `a.example.com`, whose name cannot be proved. */
async function runAt(
  directory: string,
  host: MemoryHost,
  names = ['a.example.com'],
  more: { readonly isUnasked?: true } = {},
) {
  const [result] = await renewCertificates({
    host,
    paths: pathsUnder(''),
    settings: {
      directory,
      proxied: false,
      precheck: true,
      certificates: names.map((name) => ({ name, hosts: [name], ...more })),
    },
    secrets: new Map(),
    signal: new AbortController().signal,
    now: () => NOW,
    urgentOnly: false,
    force: true,
    warn: (text) => {
      throw new Error(text);
    },
    openChallenge: async () => {
      throw new AppError({ code: 'certificate/elsewhere', what: 'asked', hint: 'none' });
    },
  });
  return result;
}

async function remembers(host: MemoryHost, state: unknown): Promise<MemoryHost> {
  await host.write(STATE, JSON.stringify(state), { mode: 0o600, uid: 0, gid: 0 });
  return host;
}

/** Rate limited at the authority, for three days. */
const LIMITED = {
  failures: 1,
  attempts: [NOW.getTime() - HOUR],
  issued: [],
  retryAt: NOW.getTime() + 72 * HOUR,
  problem: {
    code: 'certificate/rate-limited',
    what: 'acme.example gives no more certificates',
    hint: 'use staging',
    at: NOW.getTime() - HOUR,
  },
};
const WAITS = {
  outcome: 'wait',
  until: new Date(LIMITED.retryAt),
  why: 'asked',
  problem: { what: 'acme.example gives no more certificates' },
};

t.test('what one authority asked for holds there, and not at another one', async (t) => {
  const host = await remembers(new MemoryHost(), {
    version: 2,
    authorities: { [REAL]: { 'a.example.com': LIMITED } },
  });
  t.match(await runAt(REAL, host), WAITS);
  t.match(await runAt(STAGING, host), { outcome: 'failed', error: { what: 'asked' } });
  t.match(await runAt(REAL, host), WAITS, 'going there and back shortens no pause');
});

t.test('a record of before authorities were told apart is of the one that is asked', async (t) => {
  const host = await remembers(new MemoryHost(), {
    version: 1,
    certificates: { 'a.example.com': LIMITED },
  });
  t.match(await runAt(REAL, host), WAITS);
});

t.test('what is wanted no more, or binds at no authority, is forgotten', async (t) => {
  const old = { ...LIMITED, attempts: [], retryAt: NOW.getTime() - HOUR };
  const host = await remembers(new MemoryHost(), {
    version: 2,
    authorities: { [REAL]: { 'a.example.com': LIMITED, 'b.example.com': old } },
  });
  const authorities = async () => JSON.parse(String(await host.read(STATE))).authorities;
  await runAt(STAGING, host, ['b.example.com']);
  t.match(await authorities(), { [STAGING]: { 'b.example.com': { failures: 0 } } });
  t.notOk((await authorities())[REAL]);
});

t.test(
  'a name that nobody wrote is asked for once it leads here, and is no failure before',
  async (t) => {
    const host = await remembers(new MemoryHost(), {
      version: 2,
      authorities: { [REAL]: { 'a.example.com': { ...LIMITED, retryAt: undefined } } },
    });
    t.strictSame(await runAt(REAL, host, ['a.example.com'], { isUnasked: true }), {
      name: 'a.example.com',
      outcome: 'unserved',
    });
    const { problem } = JSON.parse(String(await host.read(STATE))).authorities[REAL][
      'a.example.com'
    ];
    t.equal(problem, undefined, 'nothing is told of it');
    t.match(await runAt(REAL, host), { outcome: 'failed' }, 'one that somebody wrote');
  },
);

t.test('a bug at one name is told as a bug, remembered, and stops no other', async (t) => {
  const host = new MemoryHost();
  const paths = pathsUnder('');
  const results = await renewCertificates({
    host,
    paths,
    settings: {
      directory: 'https://acme.example/dir',
      proxied: false,
      precheck: true,
      contact: 'ops@example.com',
      certificates: ['a.example.com', 'b.example.com'].map((name) => ({ name, hosts: [name] })),
    },
    secrets: new Map(),
    signal: new AbortController().signal,
    now: () => new Date('2026-11-28T12:00:00Z'),
    urgentOnly: false,
    force: false,
    warn: (text) => t.fail(text),
    openChallenge: async () => ({
      type: 'http-01',
      check: async ([name]) => {
        if (name === 'a.example.com') throw new TypeError('undefined is no list');
        throw new AppError({ code: 'certificate/elsewhere', what: 'x', hint: 'y' });
      },
      show: async () => void t.fail('nothing to show'),
      takeBack: async () => undefined,
    }),
  });
  t.match(results, [
    {
      outcome: 'failed',
      error: {
        code: 'certificate/unexpected',
        what: 'holdfast itself failed at the certificate of a.example.com',
        why: /^TypeError: undefined is no list\n.*renew\.test\.ts/,
        hint: /please report it/,
      },
    },
    { outcome: 'failed', error: { code: 'certificate/elsewhere' } },
  ]);
  const state = JSON.parse(String(await host.read(`${paths.tls}/acme/state.json`)));
  t.match(state.authorities['https://acme.example/dir'], {
    'a.example.com': { problem: { code: 'certificate/unexpected' } },
  });
  const result = JSON.parse(String(await host.read(`${paths.agent}/results/certificates.json`)));
  t.match(result.certificates, [{ name: 'a.example.com', ok: false }, { ok: false }]);
});
