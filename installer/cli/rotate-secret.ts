import { apply as applyServer, planServer } from '../apply/apply.ts';
import { SYSTEM_CLOCK } from '../apply/context.ts';
import { withLock } from '../apply/lock.ts';
import { thisProcess } from '../apply/process-identity.ts';
import { components } from '../components/registry.ts';
import { env } from '../env.ts';
import { AppError } from '../errors.ts';
import type { Secret } from '../model/secret.ts';
import { planText } from '../plan/text.ts';
import { generateSecret } from '../secrets/generate.ts';
import { rotate } from '../secrets/rotate.ts';
import { SecretStore } from '../secrets/store.ts';
import { configInForce } from './applied-config.ts';
import { askSecret } from './ask-secret.ts';
import type { ParsedArguments } from './command.ts';
import { consent, refused } from './consent.ts';
import type { CliContext } from './context.ts';
import { colouredPlan } from './display/plan.ts';
import { styleFor } from './display/style.ts';
import { frontDoor } from './front-door.ts';
import { allNeeds } from './needs.ts';
import { loginOf, passwordServer } from './password-server.ts';
import { prepare } from './prepare.ts';
import { refusePlaceholder } from './secrets.ts';

const LOCK_SECONDS = 60;

/** `holdfast secrets rotate NAME`: a new value in the server, in the files, and in what reads them. */
export async function rotateSecret(args: ParsedArguments, context: CliContext): Promise<number> {
  const [name = ''] = args.positionals;
  const { io, paths, signal } = context;
  const server = await context.open(args.value('host'));
  const loaded = await configInForce(args.value('config'), {
    host: server.host,
    paths: context.paths,
  });
  const prepared = await prepare(context, server, { loaded });
  const { config } = loaded;
  const store = new SecretStore(server.host, paths);
  const need = allNeeds(components, config).secrets.find((one) => one.name === name);
  if (need?.generate?.kind === 'age-identity') throw keepsBackups(name);
  const process = await thisProcess(env.sudoUser ?? env.user ?? 'unknown');
  const command = `holdfast secrets rotate ${name}`;
  const login = loginOf(config, name);
  const generate = need?.generate;
  const result = await rotate({
    name,
    store,
    newValue: async () => {
      if (generate !== undefined) return generateSecret(server.host, generate);
      const value = await askSecret(io, `New value of ${name} (not shown)`);
      refusePlaceholder(name, value);
      return value;
    },
    ...(login !== undefined && {
      server: passwordServer(
        { server, paths, project: config.project, store, process, command },
        login,
      ),
    }),
    agree: async (next) => {
      const { plan } = await planServer(
        { ...prepared.apply, secrets: withValue(store, name, next) },
        { render: prepared.render },
      );
      io.out(colouredPlan(planText(plan), styleFor(io.color)));
      const text = `Rotate ${name} and carry this out on ${server.host.name}? [y/N] `;
      return await consent(args, context, { text });
    },
    exclusively: (step) =>
      withLock(
        server.host,
        paths,
        { process, command, waitSeconds: LOCK_SECONDS, clock: SYSTEM_CLOCK },
        step,
      ),
    apply: async () => {
      const isForward = (await store.next(name)) !== undefined;
      await applyServer(prepared.apply, {
        process,
        command,
        waitSeconds: LOCK_SECONDS,
        render: prepared.render,
        // Going back is not interrupted: it would leave two values in use.
        ...(isForward && { interrupt: signal }),
        configDigest: async () => loaded.digest,
        confirm: async () => true,
        keepRendered: prepared.keepRendered,
        verify: frontDoor(server.host, context).verify,
      });
    },
  });
  if (result === 'declined') throw refused(args);
  io.out(`${name} has a new value everywhere.\n`);
  return 0;
}

/** The secrets as they are once this value counts. */
function withValue(store: SecretStore, name: string, next: Secret): Pick<SecretStore, 'all'> {
  return { all: async () => new Map([...(await store.all()), [name, next]]) };
}

function keepsBackups(name: string): AppError {
  return new AppError({
    code: 'secret/keeps-backups',
    what: `${name} is not rotated`,
    why: 'the backups that exist could no longer be tested: they are encrypted to it',
    hint: 'holdfast backup list',
  });
}
