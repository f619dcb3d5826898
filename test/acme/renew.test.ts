import t from 'tap';
import { renewCertificates } from '../../installer/acme/renew.ts';
import { AppError } from '../../installer/errors.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { MemoryHost } from '../support/memory-host.ts';

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
  t.match(state.certificates, { 'a.example.com': { problem: { code: 'certificate/unexpected' } } });
  const result = JSON.parse(String(await host.read(`${paths.agent}/results/certificates.json`)));
  t.match(result.certificates, [{ name: 'a.example.com', ok: false }, { ok: false }]);
});
