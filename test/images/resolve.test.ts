import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { LocalHost } from '../../installer/host/local.ts';
import { bakeImages } from '../../installer/images/build.ts';
import { resolveImages } from '../../installer/images/resolve.ts';
import { EMPTY_LOCK, type LockFile } from '../../installer/model/lock-file.ts';
import {
  type Answer,
  DEBIAN_ANSWER,
  DIGEST,
  debian,
  engineWith,
  hostWith,
  lockOf,
  registryFinds,
  registryRefuses,
  registrySilent,
  request,
} from './support.ts';

const POSTGRES = 'holdfast/postgres:17.6-0123456789ab';

t.test('auto takes Debian where Debian has the version, and bakes what is missing', async (t) => {
  const host = hostWith([debian, registrySilent]);
  const { images } = await resolveImages(
    request({
      host,
      engine: engineWith(['holdfast/redis:8.0.2-0123456789ab']),
      needs: [
        { image: 'postgres', version: '17', source: 'auto' },
        { image: 'redis', version: '7', source: 'auto' },
      ],
    }),
  );
  t.match(images.platform.postgres, {
    reference: POSTGRES,
    version: '17.6',
    source: 'debian',
    action: { kind: 'bake', target: 'postgres' },
  });
  t.match(images.platform.redis, { version: '8.0.2', action: { kind: 'present' } });
  t.equal(images.registryAnswers, undefined, 'no registry was asked');
});

t.test(
  'a Postgres major that Debian lacks comes from the registry, pinned by digest',
  async (t) => {
    const { images, lock } = await resolveImages(
      request({
        host: hostWith([debian, registryFinds]),
        engine: engineWith(),
        needs: [{ image: 'postgres', version: '16', source: 'auto' }],
      }),
    );
    t.match(images.platform.postgres, {
      reference: `docker.io/library/postgres:16.13@${DIGEST}`,
      action: { kind: 'pull' },
    });
    t.equal(lock.images.postgres?.digest, DIGEST);
    t.equal(images.registryAnswers, true);
  },
);

t.test(
  'without a registry such a version is refused, and the answer names what can be had',
  async (t) => {
    const outcome = resolveImages(
      request({
        host: hostWith([debian, registrySilent]),
        engine: engineWith(),
        needs: [{ image: 'postgres', version: '16', source: 'auto' }],
      }),
    );
    await t.rejects(outcome, {
      code: 'image/version-unavailable',
      why: /Debian trixie has postgres 17\.6, bookworm has 15.*docker\.io cannot be reached/s,
      hint: /postgres\.version: "17"/,
    });
  },
);

t.test('a Postgres that only an older Debian has is built from that one', async (t) => {
  const host = hostWith([debian, registrySilent]);
  const needs = [
    { image: 'postgres', version: '15', source: 'auto' },
    { image: 'redis', source: 'auto' },
  ] as const;
  const { images, lock } = await resolveImages(request({ host, engine: engineWith(), needs }));
  t.match(images.platform.postgres, {
    reference: 'holdfast/postgres:15.20-0123456789ab',
    version: '15.20',
    action: { kind: 'bake' },
  });
  t.match(images.platform.redis, { version: '8.0.2' });

  t.test('with the base and the packages of that Debian', async (t) => {
    const bakes: { base: string | undefined; images: unknown }[] = [];
    const builder = hostWith([
      debian,
      ({ argv, env }) => {
        if (argv[0] !== 'docker') return undefined;
        bakes.push({
          base: env?.['HOLDFAST_BASE'],
          images: JSON.parse(env?.['HOLDFAST_IMAGES'] ?? ''),
        });
        return {};
      },
    ]);
    const references = Object.values(lock.images).map(({ reference }) => reference);
    await bakeImages(builder, '/opt/holdfast', references, () => undefined);
    t.match(bakes, [
      { base: 'holdfast/base:bookworm-0123456789ab', images: [{ name: 'postgres' }] },
      { base: 'holdfast/base:trixie-0123456789ab', images: [{ name: 'redis' }] },
    ]);
  });
});

t.test(
  'an optional image without a registry is left out once and not asked for again',
  async (t) => {
    const needs = [{ image: 'grafana', source: 'auto', optional: true }] as const;
    const host = hostWith([debian, registrySilent]);
    const first = await resolveImages(request({ host, engine: engineWith(), needs }));
    t.match(first.images.platform.grafana, { unavailable: /Debian does not carry grafana/ });
    t.equal(first.images.registryAnswers, false);

    const later = hostWith([debian, registryFinds]);
    const lock = lockOf(first.lock);
    const second = await resolveImages(request({ host: later, engine: engineWith(), needs, lock }));
    t.match(second.images.platform.grafana, { unavailable: /grafana/ });
    t.strictSame(
      later.ran.filter((line) => line.includes('imagetools')),
      [],
    );

    const update = await resolveImages(
      request({ host: later, engine: engineWith(), needs, lock, refresh: true }),
    );
    t.match(update.images.platform.grafana, { action: { kind: 'pull' } });
  },
);

t.test('a decision of the lock file holds: neither apt nor a registry is asked', async (t) => {
  const services = { web: { image: 'ghcr.io/acme/web:1' } };
  const needs = [{ image: 'postgres', source: 'auto' }] as const;
  const engine = engineWith([POSTGRES]);
  const first = await resolveImages(
    request({ host: hostWith([debian, registryFinds]), engine, needs, services }),
  );
  const quiet = hostWith([({ argv }) => (argv[0] === 'find' ? { stdout: 'recipe' } : undefined)]);
  const second = await resolveImages(
    request({ host: quiet, engine, needs, services, lock: lockOf(first.lock) }),
  );
  t.strictSame(second.images.platform, first.images.platform);
  t.strictSame(second.images.services, first.images.services);
  t.strictSame(second.lock, first.lock);

  t.test('but a changed recipe or a changed wish is decided anew', async (t) => {
    const changed = hostWith([
      ({ argv }) => (argv[0] === 'find' ? { stdout: 'another recipe' } : undefined),
      debian,
      registryFinds,
    ]);
    await resolveImages(request({ host: changed, engine, needs, lock: lockOf(first.lock) }));
    t.ok(changed.ran.some((line) => line.includes('resolve.sh')));
    const wished = hostWith([debian, registryFinds]);
    await resolveImages(
      request({
        host: wished,
        engine,
        needs: [{ image: 'postgres', version: '17', source: 'auto' }],
        lock: lockOf(first.lock),
      }),
    );
    t.ok(wished.ran.some((line) => line.includes('resolve.sh')));
  });

  t.test('and what is gone from the engine is decided anew too', async (t) => {
    const host = hostWith([debian]);
    await resolveImages(request({ host, engine: engineWith(), needs, lock: lockOf(first.lock) }));
    t.ok(host.ran.some((line) => line.includes('resolve.sh')));
  });
});

t.test('a service whose image the registry does not have is refused with its name', async (t) => {
  const services = { web: { image: 'ghcr.io/acme/web:9' } };
  await t.rejects(
    resolveImages(
      request({ host: hostWith([debian, registryRefuses]), engine: engineWith(), services }),
    ),
    { code: 'image/not-found', what: /services\.web/ },
  );
  await t.rejects(
    resolveImages(
      request({ host: hostWith([debian, registrySilent]), engine: engineWith(), services }),
    ),
    { code: 'image/unreachable' },
  );
});

t.test('an image that was loaded by hand serves when no registry answers', async (t) => {
  const { images } = await resolveImages(
    request({
      host: hostWith([debian, registrySilent]),
      engine: engineWith(['ghcr.io/acme/web:9']),
      services: { web: { image: 'ghcr.io/acme/web:9' } },
    }),
  );
  t.match(images.services['web'], { reference: 'ghcr.io/acme/web:9', action: { kind: 'present' } });
});

t.test('a registry that keeps silent is waited for once', async (t) => {
  const host = hostWith([debian, registrySilent]);
  await t.rejects(
    resolveImages(
      request({
        host,
        engine: engineWith(['a.example/x:1', 'a.example/y:1']),
        services: {
          x: { image: 'a.example/x:1' },
          y: { image: 'a.example/y:1' },
          z: { image: 'a.example/z:1' },
        },
      }),
    ),
    { code: 'image/unreachable', what: /services\.z/ },
  );
  t.equal(host.ran.filter((line) => line.includes('imagetools')).length, 1);
});

t.test('official images come from the mirror that the config names', async (t) => {
  const { images } = await resolveImages(
    request({
      host: hostWith([debian, registryFinds]),
      engine: engineWith(),
      registry: 'mirror.example:5000/hub',
      needs: [{ image: 'redis', version: '7.2', source: 'registry' }],
    }),
  );
  t.match(images.platform.redis, {
    reference: `mirror.example:5000/hub/library/redis:7.2.10@${DIGEST}`,
  });
});

t.test(
  'a mirror or a registry that is down moves no server to images of another kind',
  async (t) => {
    const needs = [{ image: 'redis', source: 'auto' }] as const;
    const engine = engineWith();
    const fromDebian = await resolveImages(
      request({ host: hostWith([debian, registryFinds]), engine, needs }),
    );
    const noMirror: Answer = ({ argv }) => {
      if (argv[0] === 'bash') throw new Error('no network');
      return argv[0] === 'find' ? { stdout: 'recipe' } : undefined;
    };
    await t.rejects(
      resolveImages(
        request({
          host: hostWith([noMirror, registryFinds]),
          engine,
          needs,
          lock: lockOf(fromDebian.lock),
          refresh: true,
        }),
      ),
      { code: 'image/debian-unreachable' },
    );
    const fresh = await resolveImages(
      request({ host: hostWith([noMirror, registryFinds]), engine, needs }),
    );
    t.match(
      fresh.images.platform.redis,
      { source: 'registry' },
      'a new server takes what it can have',
    );

    const kept = await resolveImages(
      request({
        host: hostWith([noMirror, registrySilent]),
        engine,
        needs,
        lock: lockOf(fresh.lock),
        refresh: true,
      }),
    );
    t.strictSame(kept.lock.images, fresh.lock.images);
  },
);

/** Digests by reference, as the registry has them at the moment. */
function registryOf(digests: Readonly<Record<string, string>>): Answer {
  return ({ argv }) => {
    if (!argv.includes('imagetools')) return undefined;
    const digest = digests[argv.at(-1) ?? ''];
    return digest === undefined
      ? { exitCode: 1, stderr: 'ERROR: not found' }
      : { stdout: JSON.stringify({ digest: `sha256:${digest.repeat(64)}` }) };
  };
}

const WEB = 'ghcr.io/acme/web';
const at = (version: string, digest: string) => `${WEB}:${version}@sha256:${digest.repeat(64)}`;

/** Deploys and rolls back one service whose config says version 1; every image is on the machine. */
class Releases {
  lock = lockOf({ images: {}, services: {} });
  readonly digests: Record<string, string> = {};
  serving: string | undefined;

  async apply(pin?: { readonly image: string; readonly isRollback: boolean }) {
    const all = Object.entries(this.digests).map(([reference, digest]) =>
      at(reference.slice(WEB.length + 1), digest),
    );
    const { lock } = await resolveImages(
      request({
        host: hostWith([debian, registryOf(this.digests)]),
        engine: engineWith(all),
        services: { web: { image: `${WEB}:1` } },
        lock: this.lock,
        ...(this.serving === undefined ? {} : { serving: { web: this.serving } }),
        ...(pin === undefined ? {} : { pins: { web: pin } }),
      }),
    );
    this.lock = lockOf(lock);
    return lock.services['web'];
  }

  deploy(version: string) {
    return this.apply({ image: `${WEB}:${version}`, isRollback: false });
  }

  rollBack(image: string) {
    return this.apply({ image, isRollback: true });
  }

  get previous(): string[] {
    const { previous = [] } = this.lock.services['web'] ?? {};
    return previous.map(({ version, withdrawn }) => `${version}${withdrawn === true ? '*' : ''}`);
  }
}

t.test('a deploy of the image that the config names goes back to it from another', async (t) => {
  const releases = new Releases();
  Object.assign(releases.digests, { [`${WEB}:1`]: 'a', [`${WEB}:2`]: 'b' });
  t.match(await releases.apply(), { reference: at('1', 'a') });
  t.match(await releases.deploy('2'), { reference: at('2', 'b'), pinned: true });
  t.match(await releases.apply(), { reference: at('2', 'b') }, 'an apply keeps it');
  t.match(await releases.deploy('1'), { reference: at('1', 'a') });
});

t.test('a deploy asks what a tag is now', async (t) => {
  const releases = new Releases();
  Object.assign(releases.digests, { [`${WEB}:1`]: 'a', [`${WEB}:2`]: 'b' });
  await releases.apply();
  releases.digests[`${WEB}:1`] = 'c';
  t.match(await releases.apply(), { reference: at('1', 'a') }, 'an apply does not');
  t.match(await releases.deploy('1'), { reference: at('1', 'c') });
  await releases.deploy('2');
  releases.digests[`${WEB}:2`] = 'd';
  t.match(await releases.deploy('2'), { reference: at('2', 'd') });
});

t.test('also of an image that was loaded by hand before its registry had it', async (t) => {
  const services = { web: { image: `${WEB}:1` } };
  const engine = engineWith([`${WEB}:1`]);
  const asked = (answer: Answer, more: object) =>
    resolveImages(request({ host: hostWith([debian, answer]), engine, services, ...more }));
  const loaded = await asked(registrySilent, {});
  t.match(loaded.lock.services['web'], { reference: `${WEB}:1` });
  const lock = lockOf(loaded.lock);
  const pin = { image: `${WEB}:1`, isRollback: false };
  const deployed = await asked(registryOf({ [`${WEB}:1`]: 'a' }), { lock, pins: { web: pin } });
  t.match(deployed.lock.services['web'], { reference: at('1', 'a') });
});

t.test('a rollback marks what it leaves, a return to that marks nothing', async (t) => {
  const releases = new Releases();
  for (const [version, digest] of Object.entries({ 1: 'a', 2: 'b', 3: 'c', 4: 'd', 5: 'e' })) {
    releases.digests[`${WEB}:${version}`] = digest;
  }
  await releases.apply();
  for (const version of ['2', '3', '4']) await releases.deploy(version);
  t.strictSame(releases.previous, ['3', '2', '1']);
  t.match(await releases.rollBack(at('3', 'c')), { version: '3', rolledBack: true });
  t.strictSame(releases.previous, ['4*', '2', '1']);
  await releases.rollBack(at('2', 'b'));
  await releases.rollBack(at('2', 'b'));
  t.strictSame(releases.previous, ['3*', '4*', '1'], 'twice the same is once');
  await releases.apply();
  t.match(releases.lock.services['web'], { version: '2', rolledBack: true }, 'an apply keeps it');
  await releases.rollBack(at('4', 'd'));
  t.strictSame(releases.previous, ['2', '3*', '1']);
  const fifth = await releases.deploy('5');
  t.notOk(fifth?.rolledBack);
  t.strictSame(releases.previous, ['4', '2', '3*']);
});

t.test('a release that a killed deploy never let serve is no way back', async (t) => {
  const releases = new Releases();
  for (const [version, digest] of Object.entries({ 1: 'a', 2: 'b', 3: 'c' })) {
    releases.digests[`${WEB}:${version}`] = digest;
  }
  await releases.apply();
  releases.serving = at('1', 'a');
  await releases.deploy('2');
  t.strictSame(releases.previous, ['1']);
  await releases.deploy('3');
  t.strictSame(releases.previous, ['1'], '2 was killed before it served');
  releases.serving = at('3', 'c');
  await releases.rollBack(at('1', 'a'));
  t.strictSame(releases.previous, ['3*']);
  await releases.deploy('2');
  t.strictSame(releases.previous, ['1', '3*'], 'a rollback that was killed went to one that had');
});

/** Debian with this version of Node. */
function nodeOf(version: string): Answer {
  const images = DEBIAN_ANSWER.images.map((one) =>
    one.name === 'node' ? { ...one, version, reference: `holdfast/node:${version}-0` } : one,
  );
  return (command) => {
    const answer = debian(command);
    return command.argv[0] === 'bash' && answer !== undefined
      ? { stdout: JSON.stringify({ ...DEBIAN_ANSWER, images }) }
      : answer;
  };
}

t.test(
  'an update builds anew on a newer base, and never from sources that somebody edits',
  async (t) => {
    const folder = t.testdir({
      Dockerfile: 'ARG HOLDFAST_NODE_IMAGE\nFROM ${HOLDFAST_NODE_IMAGE}\n',
    });
    const build = { context: folder };
    const at = async (
      node: string,
      lock: LockFile,
      more: Partial<Parameters<typeof resolveImages>[0]> = {},
    ) =>
      lockOf(
        (
          await resolveImages(
            request({
              host: hostWith([nodeOf(node), registryFinds]),
              sources: new LocalHost(),
              engine: engineWith(),
              needs: [{ image: 'node', source: 'debian' }],
              services: { web: { build } },
              refresh: true,
              lock,
              ...more,
            }),
          )
        ).lock,
      );
    const built = ({ services }: LockFile) => services['web']?.reference;
    const keepsEdited = true;
    const first = await at('20.1', EMPTY_LOCK);
    t.equal(built(await at('20.1', first, { keepsEdited })), built(first));
    const newer = await at('20.2', first, { keepsEdited });
    t.not(built(newer), built(first), 'its base is newer');
    await appendFile(join(folder, 'Dockerfile'), '# half an edit\n');
    t.equal(built(await at('20.3', newer, { keepsEdited })), built(newer));
    t.not(built(await at('20.3', newer)), built(newer), 'an apply takes it');
  },
);
