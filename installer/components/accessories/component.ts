import type { BackupSource } from '../../model/backup-settings.ts';
import type { Contribution, Notice } from '../../model/contribution.ts';
import type { Secret } from '../../model/secret.ts';
import { engineName, type StackService } from '../../model/stack.ts';
import type { Component, ComponentInput } from '../component.ts';
import { dataNetwork } from '../networks.ts';
import type { Accessory } from '../rules/resolved.ts';
import { asInForce } from '../secrets-in-force.ts';
import type { Config } from '../sections.ts';
import { httpCheck, portCheck } from '../services/checks.ts';
import { CAPABILITIES, healthcheckOf, secretPath } from '../services/container.ts';
import { imageOf } from '../services/image.ts';
import { secretFile } from '../services/secret-file.ts';
import { calmOf, volumeNames } from '../services/volumes.ts';

/** Other stateful containers, reached by the services that use them and by nobody else. */
export const accessories: Component = {
  id: 'accessories',
  enabled: (config) => Object.keys(config.accessories).length > 0,

  needs: (config) => ({
    secrets: Object.values(config.accessories).flatMap(({ name: accessory, secrets }) =>
      secrets.map(({ name, optional }) => ({
        name,
        optional,
        usedBy: `accessories.${accessory}`,
      })),
    ),
  }),

  contribute(input): Contribution {
    const all = Object.values(input.config.accessories);
    const prepared = all.map((accessory) => ({ accessory, values: secretsOf(input, accessory) }));
    const networks = new Set(all.flatMap((accessory) => networksOf(input.config, accessory)));
    return {
      fragments: [
        {
          component: 'accessories',
          template: 'accessories.yaml.ejs',
          data: {
            accessories: prepared.map(({ accessory, values }) => ({
              name: accessory.name,
              container: containerOf(input, accessory, Object.keys(values)),
            })),
            networks: Object.fromEntries([...networks].map((name) => [name, { internal: true }])),
            volumes: ownVolumes(input.config, all),
          },
        },
      ],
      files: prepared.flatMap(({ accessory, values }) =>
        Object.entries(values).map(([name, value]) =>
          secretFile(input, 'accessories', accessory.name, name, value),
        ),
      ),
      secretEnvironment: Object.fromEntries(
        prepared
          .filter(({ values }) => Object.keys(values).length > 0)
          .map(({ accessory, values }) => [accessory.name, values]),
      ),
      httpChecks: all.flatMap(httpCheck),
      portChecks: all.flatMap(portCheck),
      scrapes: all.flatMap(({ name, metrics }) =>
        metrics === undefined ? [] : [{ job: name, service: name, ...metrics, replicated: false }],
      ),
      ...backupsOf(input.config, all),
    };
  },
};

/** One for each service that uses it, as with the platform's own servers; none leads out of the host. */
function networksOf(config: Config, { name, metrics }: Accessory): string[] {
  const users = Object.values(config.services).filter(({ uses }) =>
    uses.some((use) => use.kind === 'accessory' && use.name === name),
  );
  const own = users.length === 0 || metrics !== undefined ? [dataNetwork(name)] : [];
  return [...own, ...users.map((user) => dataNetwork(user.name))];
}

function containerOf(
  input: ComponentInput,
  accessory: Accessory,
  secretNames: readonly string[],
): StackService {
  const { name, args, env, volumes, resources } = accessory;
  return {
    image: imageOf(input, 'accessories', name),
    ...(args !== undefined && { command: [...args] }),
    environment: { ...env },
    volumes: volumes.map((volume) => ({
      type: 'volume',
      source: volume.name,
      target: volume.mount,
    })),
    secrets: secretNames.map((secret) => ({
      file: secretPath(input, name, secret),
      target: `/run/secrets/${secret}`,
    })),
    networks: Object.fromEntries(
      networksOf(input.config, accessory).map((network) => [network, null]),
    ),
    healthcheck: healthcheckOf(accessory),
    mem_limit: resources.memory,
    ...(resources.cpus !== undefined && { cpus: resources.cpus }),
    pids_limit: 512,
    cap_add: CAPABILITIES,
    // Where an unknown program writes is unknown too.
    read_only: false,
    // A database closes its files.
    stop_grace_period: '60s',
  };
}

function secretsOf(
  input: ComponentInput,
  { name: accessory, secrets }: Accessory,
): Readonly<Record<string, Secret>> {
  const stored = Object.fromEntries(
    secrets.flatMap(({ name }) => {
      const value = input.optionalSecret(name);
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
  return asInForce(input, accessory, stored);
}

/** A volume that a service mounts too is declared there. */
function ownVolumes({ services }: Config, all: readonly Accessory[]): string[] {
  const declared = volumeNames(Object.values(services));
  return volumeNames(all).filter((name) => !declared.includes(name));
}

/** Volumes that ask for it are saved as files, the others by the dump command where there is one. */
function backupsOf(
  config: Config,
  all: readonly Accessory[],
): Pick<Contribution, 'backups' | 'unbackedVolumes' | 'notices'> {
  const own = ownVolumes(config, all);
  const volumes = all.flatMap(({ name: accessory, dump, volumes: mounted }) =>
    mounted
      .filter(({ name }) => own.includes(name))
      .map(({ name }) => ({ name, accessory, isDumped: dump !== undefined })),
  );
  const isSaved = (name: string) => savesVolume(config, name);
  const files = volumes.filter(({ name }) => isSaved(name));
  const open = volumes.filter(({ name, isDumped }) => !isSaved(name) && !isDumped);
  return {
    backups: [
      ...files.map(({ name, accessory }) => ({
        ...{ kind: 'volume' as const, name, service: accessory },
        volume: engineName(config.project, name),
        ...calmOf(name, all),
      })),
      ...all.flatMap((accessory) => dumpOf(config, accessory)),
    ],
    unbackedVolumes: volumes
      .filter(({ name }) => !isSaved(name))
      .map(({ name, accessory, isDumped }) => ({
        volume: name,
        reason: isDumped
          ? `the dump of accessory ${accessory} saves it`
          : `accessory ${accessory} has no dump command`,
      })),
    notices: open.map(
      ({ name, accessory }): Notice => ({
        code: 'accessories/not-backed-up',
        text: `accessories.${accessory}: its volume ${name} is not backed up: give it \`dump\` and \`restore\` commands; \`backup: true\` at the volume saves its files`,
      }),
    ),
  };
}

function savesVolume({ backups }: Config, volume: string): boolean {
  return backups.jobs.some(({ source }) => source.kind === 'volume' && source.name === volume);
}

function dumpOf({ project }: Config, { name, dump, restore, volumes }: Accessory): BackupSource[] {
  if (dump === undefined) return [];
  return [
    {
      ...{ kind: 'accessory', name, dump },
      container: `${project}-${name}-1`,
      ...(restore === undefined ? {} : { restore }),
      volumes: volumes.map((volume) => engineName(project, volume.name)),
    },
  ];
}
