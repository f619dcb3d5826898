import { SYSTEM_CLOCK } from '../apply/context.ts';
import { withLock } from '../apply/lock.ts';
import { ManifestKeeper, readManifest } from '../apply/manifest.ts';
import type { ThisProcess } from '../apply/process-identity.ts';
import * as grafana from '../components/grafana/password.ts';
import { databaseOf } from '../components/postgres/databases.ts';
import * as pg from '../components/postgres/names.ts';
import { passwordSql, psql, ROLES_PROVISION } from '../components/postgres/roles.ts';
import { LOAD_USERS_PROVISION } from '../components/redis/component.ts';
import * as rd from '../components/redis/names.ts';
import { ACCEPTED, addPasswordInput, REDIS_CLI } from '../components/redis/password.ts';
import type { Config } from '../components/sections.ts';
import type { ExecRequest, ExecResult } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import { LABELS } from '../model/labels.ts';
import type { Paths } from '../model/paths.ts';
import type { Secret } from '../model/secret.ts';
import type { PasswordServer } from '../secrets/rotate.ts';
import type { SecretStore } from '../secrets/store.ts';
import type { Server } from './context.ts';

/** Which login of which server a secret is the password of. */
export type Login =
  | { readonly server: 'postgres'; readonly role: string }
  | { readonly server: 'redis'; readonly user: string }
  | { readonly server: typeof grafana.GRAFANA_SERVICE; readonly user: string };

/** Undefined when no running server keeps the value. Redis' administrator is read when its container starts. */
export function loginOf(config: Config, secret: string): Login | undefined {
  const { postgres } = config;
  if (secret === grafana.GRAFANA_ADMIN_SECRET) {
    return { server: grafana.GRAFANA_SERVICE, user: 'admin' };
  }
  if (secret === rd.MONITOR_SECRET) return { server: 'redis', user: rd.MONITOR_USER };
  if (secret === rd.LIMITS_SECRET) return { server: 'redis', user: rd.LIMITS_USER };
  if (postgres !== undefined) {
    if (secret === pg.MONITOR_SECRET) return { server: 'postgres', role: pg.MONITOR_ROLE };
    if (secret === pg.SUPERUSER_SECRET) return { server: 'postgres', role: pg.SUPERUSER };
    if (secret === pg.roleSecret(postgres.owner)) {
      return { server: 'postgres', role: postgres.owner };
    }
  }
  for (const service of Object.values(config.services)) {
    for (const { kind } of service.uses) {
      if (kind === 'postgres' && postgres !== undefined) {
        const { role, passwordSecret } = databaseOf(postgres, service);
        if (passwordSecret === secret) return { server: 'postgres', role };
      }
      if (kind === 'redis' && rd.redisUserSecret(service.name) === secret) {
        return { server: 'redis', user: rd.redisUser(service.name) };
      }
    }
  }
  return undefined;
}

export interface PasswordServerInput {
  readonly server: Server;
  readonly paths: Paths;
  readonly project: string;
  readonly store: SecretStore;
  readonly process: ThisProcess;
  /** For the lock, such as `holdfast secrets rotate NAME`. */
  readonly command: string;
}

/** Changes the password of a login in the running server, while nobody else changes this host. */
export function passwordServer(input: PasswordServerInput, login: Login): PasswordServer {
  const { server, paths } = input;
  const lock = { process: input.process, command: input.command, waitSeconds: 60 };
  return {
    change: (password) =>
      withLock(server.host, paths, { ...lock, clock: SYSTEM_CLOCK }, async () => {
        const container = await runningContainer(input, login.server);
        // No container, nobody to tell: the next apply makes one and gives it the stored password.
        if (container === undefined) return;
        await forget(input, PROVISIONS[login.server]);
        const request = await changeRequest(input, login, password);
        const result = await server.engine.exec(container, request);
        if (!isAccepted(login, result)) throw refused(login, result);
      }),
  };
}

/** What an apply does to bring the passwords of a server to those of the store. */
const PROVISIONS: Readonly<Record<Login['server'], string | undefined>> = {
  postgres: ROLES_PROVISION,
  redis: LOAD_USERS_PROVISION,
  grafana: undefined,
};

async function changeRequest(
  { project, store }: PasswordServerInput,
  login: Login,
  password: Secret,
): Promise<ExecRequest> {
  if (login.server === 'postgres') {
    const stdin = passwordSql(project, login.role, password);
    return { argv: psql('postgres'), user: pg.SUPERUSER, stdin };
  }
  if (login.server === 'grafana') {
    return { argv: grafana.RESET_PASSWORD, stdin: `${password.reveal()}\n` };
  }
  const admin = await store.get(rd.ADMIN_SECRET);
  if (admin === undefined) {
    throw new AppError({
      code: 'secret/not-set',
      what: `${rd.ADMIN_SECRET} is not stored`,
      hint: 'holdfast apply',
    });
  }
  return { argv: [...REDIS_CLI], stdin: addPasswordInput(admin, login.user, password) };
}

function isAccepted({ server }: Login, { exitCode, stdout, stderr }: ExecResult): boolean {
  if (exitCode !== 0) return false;
  if (server === 'grafana') return grafana.PASSWORD_CHANGED.test(stdout + stderr);
  return server === 'postgres' || ACCEPTED.test(stdout);
}

function refused(login: Login, { stdout, stderr }: ExecResult): AppError {
  const name = login.server === 'postgres' ? `role ${login.role}` : `user ${login.user}`;
  return new AppError({
    code: 'secret/server-refused',
    what: `${login.server} did not take the new password of ${name}`,
    // None repeats what it was given: Postgres got a verifier, Redis a hash, and Grafana names the length at most.
    why: stderr.trim() === '' ? stdout.trim() : stderr.trim(),
    hint: `holdfast logs ${login.server}`,
  });
}

/** @throws AppError `engine/not-running` when there is a container and none runs. */
async function runningContainer(
  { server, project }: PasswordServerInput,
  service: string,
): Promise<string | undefined> {
  const all = await server.engine.containers({ [LABELS.project]: project });
  const own = all.filter((container) => container.service === service);
  const running = own.find(({ status }) => status === 'running');
  if (running !== undefined || own.length === 0) return running?.id;
  throw new AppError({
    code: 'engine/not-running',
    what: `${service} does not run, so its password cannot be changed`,
    hint: `holdfast logs ${service}`,
  });
}

/** What the last apply recorded of the server is no longer what is true of it. */
async function forget(
  { server, paths }: PasswordServerInput,
  provision: string | undefined,
): Promise<void> {
  if (provision === undefined) return;
  const manifest = await readManifest(server.host, paths.manifest);
  const { [provision]: _forgotten, ...provisions } = manifest.provisions;
  await new ManifestKeeper(server.host, paths.manifest, manifest).update({ provisions });
}
