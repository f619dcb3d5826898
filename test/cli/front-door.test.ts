import t from 'tap';
import { verifyFrontDoor } from '../../installer/cli/front-door.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { desiredWith } from '../support/desired.ts';
import { MemoryHost } from '../support/memory-host.ts';

const SHOP = { service: 'shop', host: 'shop.example.com', path: '/health', expect: 'up' };
const DOCS = { host: 'docs.example.com', path: '/' };

/** Asks both, the way an apply does, of an nginx that gives these answers. */
async function ask(answers: Readonly<Record<string, readonly string[]>>, sick: string[] = []) {
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
  const failed = await verifyFrontDoor(
    host,
    pathsUnder(),
    pause,
  )(desired, async (service, why) => {
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
  t.strictSame(site.excused, []);
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
    const frontDoor = [{ ...SHOP, timeoutSeconds }];
    await verifyFrontDoor(host, pathsUnder())(desiredWith({ frontDoor }), async () => false);
    t.strictSame(times, [waited]);
  }
});

t.test('an answer without its text is none', async (t) => {
  const { failed } = await ask({ [SHOP_URL]: ['down\n200'] });
  t.match(failed, { why: 'its answer does not hold "up"' });
});
