import t from 'tap';
import { forCommand, mayPass, storeError } from '../../installer/backup/store/s3-errors.ts';
import { AppError } from '../../installer/errors.ts';

const answer = (name: string, status: number): Error =>
  Object.assign(new Error(`${name} it is`), { name, $metadata: { httpStatusCode: status } });
const system = (code: string): Error => Object.assign(new Error(`connect ${code}`), { code });

const rows: readonly [Error, string, boolean][] = [
  [answer('SignatureDoesNotMatch', 403), 'store/wrong-secret', false],
  [answer('InvalidAccessKeyId', 403), 'store/wrong-secret', false],
  [answer('AccessDenied', 403), 'store/forbidden', false],
  [answer('UnknownError', 403), 'store/forbidden', false],
  [answer('NoSuchBucket', 404), 'store/no-bucket', false],
  [answer('NoSuchKey', 404), 'store/missing', false],
  [answer('RequestTimeTooSkewed', 403), 'store/clock-skew', false],
  [answer('SlowDown', 503), 'store/rate-limited', true],
  [answer('InternalError', 429), 'store/rate-limited', true],
  [answer('InternalError', 500), 'store/server-error', true],
  [answer('UnknownError', 502), 'store/server-error', true],
  [answer('BadDigest', 400), 'store/damaged-in-transit', true],
  [answer('EntityTooLarge', 400), 'store/refused', false],
  [answer('TimeoutError', 0), 'store/timeout', true],
  [system('ECONNREFUSED'), 'store/unreachable', true],
  [system('ENOTFOUND'), 'store/unreachable', true],
  [system('ECONNRESET'), 'store/connection-cut', true],
  [system('DEPTH_ZERO_SELF_SIGNED_CERT'), 'store/certificate', false],
  [new Error('wrapped', { cause: system('ETIMEDOUT') }), 'store/timeout', true],
];

for (const [error, code, passing] of rows) {
  t.test(`${error.name} ${error.message} is ${code}`, async (t) => {
    t.match(storeError(error, 'could not'), { code, what: 'could not', hint: String });
    t.equal(mayPass(error), passing);
  });
}

t.test('the account in the address of R2 is not told', async (t) => {
  const error = Object.assign(
    new Error('getaddrinfo ENOTFOUND 0123abcd.r2.cloudflarestorage.com'),
    {
      code: 'ENOTFOUND',
    },
  );
  t.notMatch(storeError(error, 'x').message, '0123abcd');
});

t.test('a refusal without a reason is of the clock where the clocks differ', async (t) => {
  const refused = (secondsAhead: number) =>
    Object.assign(answer('UnknownError', 403), {
      $response: { headers: { date: new Date(Date.now() - secondsAhead * 1_000).toUTCString() } },
    });
  t.match(storeError(refused(1_200), 'x'), {
    code: 'store/clock-skew',
    why: /this one is 20 min ahead of the store's/,
  });
  t.match(storeError(refused(-3_600), 'x'), { why: /60 min behind the store's/ });
  t.match(storeError(refused(60), 'x'), { code: 'store/forbidden' });
});

t.test('the command to run again is that which failed', async (t) => {
  for (const [error, code] of rows) {
    const told = forCommand(storeError(error, 'could not'), 'holdfast buckets set');
    t.match(told, { code, what: 'could not', why: String });
    t.notMatch(told.hint, /backup run/, code);
  }
  const refused = storeError(answer('AccessDenied', 403), 'x');
  t.match(refused.hint, /then `holdfast backup run`$/);
  t.match(forCommand(refused, 'holdfast buckets set').hint, /then `holdfast buckets set`$/);
  const other = new AppError({ code: 'secret/missing', what: 'none', hint: 'holdfast backup run' });
  t.equal(forCommand(other, 'holdfast buckets set'), other);
});
