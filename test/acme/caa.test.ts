import dns from 'node:dns';
import t, { type Test } from 'tap';
import { checkCaa } from '../../installer/acme/caa.ts';

const ACCOUNT = 'https://acme.example/acct/7';

/** What `checkCaa` says of `a.example.com` when its only CAA record that counts is this one. */
async function verdict(t: Test, value: string) {
  t.intercept(dns.promises.Resolver.prototype, 'resolveCaa', {
    value: async () => [{ critical: 0, issue: value }],
  });
  const asker = { identities: ['ca.example'], accountUrl: ACCOUNT, challenge: 'http-01' };
  return checkCaa('a.example.com', asker).then(
    () => undefined,
    (error: unknown) => error,
  );
}

t.test('a record of the authority lets it sign, for our account and by our proof', async (t) => {
  for (const value of [
    'ca.example',
    ' CA.example ; validationmethods=dns-01, http-01',
    `ca.example; accounturi=${ACCOUNT}`,
    `ca.example; validationmethods=http-01; AccountURI = ${ACCOUNT}`,
  ]) {
    t.equal(await verdict(t, value), undefined, value);
  }
});

t.test('a record for another authority or another proof says what to add', async (t) => {
  for (const value of ['other.example', 'ca.example; validationmethods=dns-01']) {
    t.match(await verdict(t, value), {
      code: 'certificate/caa',
      hint: 'at your DNS provider, add: a.example.com CAA 0 issue "ca.example"',
    });
  }
});

t.test('a record for another account says which is ours, and keeps the bond', async (t) => {
  for (const value of [
    'ca.example; accounturi=https://acme.example/acct/70',
    'ca.example; accounturi=',
    `ca.example; accounturi=${ACCOUNT}; accounturi=https://acme.example/acct/8`,
  ]) {
    t.match(await verdict(t, value), {
      code: 'certificate/caa',
      why: `they say issue ${JSON.stringify(value)}, and the account of this server is ${ACCOUNT}`,
      hint: `at your DNS provider, add: a.example.com CAA 0 issue "ca.example; accounturi=${ACCOUNT}"`,
    });
  }
});
