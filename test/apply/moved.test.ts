import t from 'tap';
import type { Desired } from '../../installer/model/desired.ts';
import { LABELS } from '../../installer/model/labels.ts';
import type { Observed } from '../../installer/plan/observed.ts';
import { composeText } from '../../installer/render/compose-file.ts';
import { specDigest } from '../../installer/render/stack.ts';
import { desiredFile } from '../support/desired.ts';
import { platform } from './platform.ts';
import { kinds, PATHS, World } from './world.ts';

const COMPOSE = `${PATHS.stack}/compose.yaml`;

/** The platform with `mail` in one of the two sections. */
function mailIn(section: 'services' | 'accessories') {
  return (observed: Observed): Desired => {
    const all = platform({ more: ['mail'] })(observed);
    const { mail } = all.stack.services;
    if (mail === undefined) throw new Error('there is mail');
    const made = { ...mail, labels: { ...mail.labels, [LABELS.component]: section } };
    const stack = { ...all.stack, services: { ...all.stack.services, mail: made } };
    const specs = new Map([...all.specs, ['mail', specDigest(made, undefined)]]);
    const rolled = new Map(
      [...all.rolled].filter(([name]) => name !== 'mail' || section === 'services'),
    );
    const files = new Map(all.files);
    files.set(COMPOSE, desiredFile(COMPOSE, composeText(stack, specs, rolled)));
    return { ...all, stack, specs, rolled, files, configDigest: section };
  };
}

function mails(world: World): string[] {
  return world.engine
    .all()
    .filter(({ service, status }) => service === 'mail' && status === 'running')
    .map(({ name }) => name);
}

for (const [from, to, name] of [
  ['services', 'accessories', 'demo-mail-1'],
  ['accessories', 'services', 'demo-mail_a-1'],
] as const) {
  t.test(`what moves from ${from} to ${to} never runs twice`, async (t) => {
    const world = new World();
    await world.apply(mailIn(from));
    const { plan } = await world.apply(mailIn(to));
    const said = kinds(plan);
    const removed = said.indexOf('remove-containers:mail');
    t.ok(removed >= 0 && removed < said.findIndex((id) => id.startsWith('compose-up')), `${said}`);
    t.strictSame(mails(world), [name]);
    t.equal((await world.apply(mailIn(to))).result, 'unchanged');
  });

  t.test(`what fails as one of ${to} comes back as one of ${from}, alone`, async (t) => {
    const world = new World();
    await world.apply(mailIn(from));
    const before = mails(world);
    world.engine.behave('mail', { health: 'unhealthy' });
    await t.rejects(world.apply(mailIn(to)), { code: 'health/not-healthy' });
    t.equal(mails(world).length, 1, `${mails(world)}`);
    world.engine.behave('mail', {});
    await world.apply(mailIn(from));
    t.strictSame(mails(world), before);
  });
}
