import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { frontDoor } from '../../installer/cli/front-door.ts';
import { edgeFolders } from '../../installer/components/nginx/places.ts';
import { LocalHost } from '../../installer/host/local.ts';
import type { Report } from '../../installer/model/events.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { withCertificates } from '../../installer/tls/private-ca.ts';
import { desiredWith } from '../support/desired.ts';
import { MemoryHost } from '../support/memory-host.ts';

const SHOP = { service: 'shop', host: 'shop.example.com', path: '/health', expect: 'up' };
const SILENT = { paths: pathsUnder(), report: () => undefined };
const DOCS = { host: 'docs.example.com', path: '/' };

/** Asks both, the way an apply does, of an nginx that gives these answers. */
async function ask(
  answers: Readonly<Record<string, readonly string[]>>,
  sick: string[] = [],
  only?: string,
) {
  const host = new MemoryHost();
  const asked: string[] = [];
  const left = new Map(Object.entries(answers).map(([url, texts]) => [url, [...texts]]));
  host.on(
    ['curl'],
    ({ argv }) => {
      const url = argv.at(-1) ?? '';
      asked.push(url);
      const texts = left.get(url) ?? ['up\n200'];
      const text = (texts.length > 1 ? texts.shift() : texts[0]) ?? '';
      return text === 'refused' ? { exitCode: 7, stderr: 'refused' } : { stdout: text };
    },
    { looks: true },
  );
  const excused: string[] = [];
  const desired = desiredWith({ frontDoor: [SHOP, DOCS] });
  let seconds = 0;
  const pause = async (more: number): Promise<void> => {
    seconds += more;
  };
  const { verify } = frontDoor(host, SILENT, {
    pause,
    ...(only === undefined ? {} : { service: only }),
  });
  const failed = await verify(desired, async ({ service = 'site' }, { why }) => {
    excused.push(`${service}: ${why}`);
    return sick.includes(service);
  }).then(
    () => undefined,
    (error: unknown) => error,
  );
  return { asked, excused, failed, seconds };
}

const SHOP_URL = 'https://shop.example.com/health';
const DOCS_URL = 'https://docs.example.com/';

t.test('each is asked once when it answers well', async (t) => {
  const { asked, failed } = await ask({});
  t.strictSame(asked, [SHOP_URL, DOCS_URL]);
  t.equal(failed, undefined);
});

t.test('an nginx that was started just now is asked again', async (t) => {
  const { asked, failed } = await ask({ [SHOP_URL]: ['refused', 'up\n200'] });
  t.strictSame(asked, [SHOP_URL, SHOP_URL, DOCS_URL]);
  t.equal(failed, undefined);
});

t.test('a limit that counts this server too is an answer, and is not waited for', async (t) => {
  const { asked, failed } = await ask({ [SHOP_URL]: ['slow down\n429'] });
  t.strictSame(asked, [SHOP_URL, DOCS_URL]);
  t.equal(failed, undefined);
});

t.test('a service that was sick before holds nobody up; a site does', async (t) => {
  const sick = { [SHOP_URL]: ['no\n500'] };
  const passed = await ask(sick, ['shop']);
  t.equal(passed.failed, undefined);
  t.equal(passed.seconds, 0, 'nobody waits for it');
  t.equal(passed.asked.at(-1), DOCS_URL, 'the others are asked all the same');
  const held = await ask(sick);
  t.equal(held.seconds, 5);
  t.match(held.failed, { code: 'health/front-door', why: 'it answered 500' });
  t.strictSame(held.excused, ['shop: it answered 500']);
  const site = await ask({ [DOCS_URL]: ['gone\n404'] }, ['shop']);
  t.match(site.failed, { code: 'health/front-door', why: 'it answered 404' });
  t.strictSame(site.excused, ['site: it answered 404']);
});

t.test('an answer is waited for as long as the check of the service may take', async (t) => {
  for (const [timeoutSeconds, waited] of [
    [2, '10'],
    [25, '25'],
  ] as const) {
    const host = new MemoryHost();
    const times: (string | undefined)[] = [];
    host.on(
      ['curl'],
      ({ argv }) => {
        times.push(argv[argv.indexOf('--max-time') + 1]);
        return { stdout: 'up\n200' };
      },
      { looks: true },
    );
    const desired = desiredWith({ frontDoor: [{ ...SHOP, timeoutSeconds }] });
    await frontDoor(host, SILENT).verify(desired, async () => false);
    t.strictSame(times, [waited]);
  }
});

t.test('an answer without its text is none', async (t) => {
  const { failed } = await ask({ [SHOP_URL]: ['down\n200'] });
  t.match(failed, { why: 'its answer does not hold "up"' });
});

t.test('a deploy of one service asks for that one', async (t) => {
  const { asked, failed } = await ask({ [DOCS_URL]: ['gone\n404'] }, [], 'shop');
  t.equal(failed, undefined);
  t.strictSame(asked, [SHOP_URL]);
  t.match((await ask({ [SHOP_URL]: ['no\n502'] }, [], 'shop')).failed, { why: 'it answered 502' });
});

t.test('what nginx takes and answers badly is told from an nginx that takes nothing', async (t) => {
  for (const [answer, isTaken] of [
    [{ stdout: 'no\n502' }, true],
    [{ exitCode: 28, stderr: 'timed out' }, true],
    [{ exitCode: 7, stderr: 'refused' }, false],
    [{ stdout: 'up\n200' }, false],
  ] as const) {
    const host = new MemoryHost();
    host.on(['curl'], () => answer, { looks: true });
    t.strictSame(await frontDoor(host, SILENT).badAnswers([SHOP]), isTaken ? [SHOP] : []);
  }
});

t.test('a certificate that has ended is told, and no reason to go back', async (t) => {
  const name = SHOP.host;
  const pairOf = async (now: Date) =>
    (
      await withCertificates({ authority: undefined, leaves: new Map() }, [name], {
        now,
        name: 'x',
      })
    ).leaves.get(name);
  const ended = await pairOf(new Date('2024-01-01'));
  if (ended === undefined) throw new Error('no certificate');
  const folder = t.testdir({});
  const server = createServer({ key: ended.key.reveal(), cert: ended.certificate }, (_, answer) =>
    answer.end('up'),
  ).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const paths = pathsUnder(folder);
  const certificates = edgeFolders(paths).certificates;
  await mkdir(certificates, { recursive: true });
  const here = new LocalHost();
  const run = here.run.bind(here);
  // Instead of port 443, which is somebody else's here.
  here.run = ({ argv, ...rest }) =>
    run({
      ...rest,
      argv: argv.map((word) => word.replace(':127.0.0.1:443', `:127.0.0.1:${port}`)) as never,
    });
  const texts: string[] = [];
  const report: Report = (event) => 'text' in event && texts.push(event.text);
  const { verify } = frontDoor(here, { paths, report }, { pause: async () => undefined });
  const desired = desiredWith({ frontDoor: [SHOP] });
  await writeFile(join(certificates, `${name}.crt`), ended.certificate);
  await verify(desired, async () => false);
  t.match(texts, [/the certificate of shop\.example\.com ended on 20/]);
  const other = await pairOf(new Date('2024-01-01'));
  await writeFile(join(certificates, `${name}.crt`), other?.certificate ?? '');
  await t.rejects(
    verify(desired, async () => false),
    { code: 'health/front-door' },
    'nginx must serve just this one all the same',
  );
});
