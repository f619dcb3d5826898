import type { Contribution, FileSpec } from '../../model/contribution.ts';
import type { SecretNeed } from '../../model/secret-need.ts';
import type { ComponentInput } from '../component.ts';
import { WAL_NETWORK } from '../networks.ts';
import { requiredImage } from '../platform-image.ts';
import type { Config } from '../sections.ts';
import {
  POSTGRES_PORT,
  POSTGRES_SERVICE,
  POSTGRES_UID,
  WAL_ROLE,
  WAL_SECRET,
  WAL_SERVICE,
  WAL_SLOT,
} from './names.ts';

/** Where the receiver sees its folder. */
const FOLDER_INSIDE = '/var/lib/holdfast-wal';

/** Segments of 16 MiB: twice what the shipping itself lets wait for a store that is away. */
const MOST_FINISHED = 128;

/**
 * It goes on after the newest file in the folder. Whatever ends it, it is started again. A disk that was full leaves
 * the beginning of a segment with less than the size of one, which the receiver refuses for ever: that holds
 * nothing, and goes first. Where nobody takes the segments to the store, the oldest give way: the disk is Postgres' too.
 */
const RECEIVE = `trap 'kill "$!" "$bound"; wait; exit' TERM INT
while sleep 60; do
  ls "$0" | grep -E '^[0-9A-F]{24}$' | head -n -${MOST_FINISHED} | while read -r name; do
    rm -f -- "$0/$name"
  done
done & bound=$!
while :; do
  find "$0" -name '*.partial' -size -16777216c -delete
  pg_receivewal --directory="$0" "$@" & wait "$!"
  sleep 2 & wait "$!"
done`;

/** @param folder where the container has it */
export function receiverCommand(folder: string): string[] {
  return ['sh', '-c', RECEIVE, folder, `--slot=${WAL_SLOT}`, '--no-password', '--no-loop'];
}

/** Whether the config asks for point-in-time recovery. */
export function hasPitr({ postgres }: Pick<Config, 'postgres'>): boolean {
  return postgres?.pitr?.enabled === true;
}

export function walSecrets(config: Config): SecretNeed[] {
  if (!hasPitr(config)) return [];
  const generate = { kind: 'password', bytes: 32 } as const;
  return [{ name: WAL_SECRET, generate, optional: false, usedBy: 'postgres.pitr' }];
}

/**
 * Takes the WAL as it is written, through a slot that holds back what was not taken yet. A container of its own:
 * its end never touches the server, and the server's disk is safe from a receiver that is dead
 * (`max_slot_wal_keep_size`). `holdfast backup ship-wal` makes the slot and takes the files on to the store.
 */
export function walReceiver(input: ComponentInput): Contribution {
  if (!hasPitr(input.config)) return {};
  const passwordFile = `${input.paths.secretMounts}/${WAL_SERVICE}/${WAL_SECRET}`;
  const target = `/run/secrets/${WAL_SECRET}`;
  return {
    directories: [{ path: input.paths.wal, mode: 0o700, uid: POSTGRES_UID, gid: POSTGRES_UID }],
    fragments: [
      {
        component: 'postgres',
        template: 'postgres-wal.yaml.ejs',
        data: {
          image: requiredImage(input, 'postgres').reference,
          user: `${POSTGRES_UID}:${POSTGRES_UID}`,
          server: POSTGRES_SERVICE,
          port: String(POSTGRES_PORT),
          role: WAL_ROLE,
          command: receiverCommand(FOLDER_INSIDE),
          folder: input.paths.wal,
          folderInside: FOLDER_INSIDE,
          passwordFile: target,
          secrets: [{ file: passwordFile, target }],
          networks: { [WAL_NETWORK]: null },
          networkKinds: { [WAL_NETWORK]: { internal: true } },
        },
      },
    ],
    files: [passwordFileOf(input, passwordFile)],
  };
}

/** As libpq reads it: host, port, database, role and password between colons. */
function passwordFileOf(input: ComponentInput, path: string): FileSpec {
  const password = input.secret(WAL_SECRET).reveal().replaceAll(/[\\:]/g, '\\$&');
  return {
    path,
    component: 'postgres',
    content: { text: `*:*:*:${WAL_ROLE}:${password}\n` },
    mode: 0o400,
    uid: POSTGRES_UID,
    gid: POSTGRES_UID,
    secret: true,
    onChange: [{ kind: 'restart', service: WAL_SERVICE }],
  };
}
