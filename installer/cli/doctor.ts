import { ENGINE_PACKAGES } from '../components/updates/engine-packages.ts';
import { EXIT_CODES } from '../errors.ts';
import { formatBytes } from '../model/format-bytes.ts';
import { LABELS } from '../model/labels.ts';
import type { Paths } from '../model/paths.ts';
import { agentRuns } from './agent-runs.ts';
import { certificateProblems } from './certificate-status.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext, Server } from './context.ts';
import { styleFor } from './display/style.ts';
import { guardProblems } from './machine-guards.ts';

/** One check of the machine; the shape of `--json`, version 1. */
export interface Finding {
  readonly check: string;
  readonly result: 'ok' | 'warning' | 'problem';
  readonly text: string;
  /** The next command or edit; absent when ok. */
  readonly hint?: string;
}

/** `holdfast doctor`: looks at the machine under the stack. Changes nothing. */
export async function doctor(args: ParsedArguments, context: CliContext): Promise<number> {
  const server = await context.open(args.value('host'));
  const findings = (
    await Promise.all(CHECKS.map((check) => check(server, context.paths, context.now())))
  ).flat();
  const hasProblem = findings.some(({ result }) => result === 'problem');
  if (args.flag('json')) {
    context.io.out(`${JSON.stringify({ version: 1, ok: !hasProblem, findings })}\n`);
  } else {
    const style = styleFor(context.io.color);
    const mark = { ok: style.good('✓'), warning: style.warn('!'), problem: style.bad('✗') };
    for (const { check, result, text, hint } of findings) {
      context.io.out(`${mark[result]} ${check}: ${text}\n`);
      if (hint !== undefined) context.io.out(`  ${style.dim('→')} ${hint}\n`);
    }
  }
  return hasProblem ? EXIT_CODES.health : 0;
}

type Check = (server: Server, paths: Paths, now: Date) => Promise<Finding[]>;

const engineAnswers: Check = async ({ engine }) => {
  const { version, memoryBytes, cores } = await engine.info();
  const text = `Docker ${version}, ${cores} cores, ${formatBytes(memoryBytes)}`;
  return [{ check: 'engine', result: 'ok', text }];
};

const MINIMUM_COMPOSE = [2, 20] as const;

const composeVersion: Check = async ({ host }) => {
  const { exitCode, stdout } = await host.run({
    argv: ['docker', 'compose', 'version', '--short'],
    okExitCodes: [0, 1, 125],
  });
  const [major = 0, minor = 0] = stdout.trim().replace(/^v/, '').split('.').map(Number);
  if (
    exitCode === 0 &&
    (major > MINIMUM_COMPOSE[0] || (major === MINIMUM_COMPOSE[0] && minor >= MINIMUM_COMPOSE[1]))
  ) {
    return [{ check: 'compose', result: 'ok', text: stdout.trim() }];
  }
  return [
    {
      check: 'compose',
      result: 'problem',
      text: exitCode === 0 ? `version ${stdout.trim()} is too old` : 'is not installed',
      hint: 'run scripts/install.sh again: it installs what is missing',
    },
  ];
};

/** unattended-upgrades leaves these to a person. */
const engineIsCurrent: Check = async ({ host }) => {
  const { stdout } = await host.run({
    argv: ['apt-get', '--simulate', 'upgrade'],
    okExitCodes: [0, 100],
  });
  const newer = [...stdout.matchAll(/^Inst (\S+) \[(\S+)\] \((\S+)/gm)].filter(([, name]) =>
    ENGINE_PACKAGES.some((one) => one === name),
  );
  return newer.map(([, name = '', here, there]) => ({
    check: 'engine',
    result: 'warning',
    text: `${name} ${here} is installed, and Debian has ${there}`,
    hint: `apt-get install --only-upgrade ${name}: it stops every container for a moment`,
  }));
};

const diskSpace: Check = async ({ host }, paths) => {
  const { stdout } = await host.run({
    argv: ['df', '--output=pcent,avail', '--block-size=1', paths.state],
    okExitCodes: [0, 1],
  });
  const [used = '', free = '0'] = stdout.trim().split('\n').at(-1)?.trim().split(/\s+/) ?? [];
  const percent = Number.parseInt(used, 10);
  if (Number.isNaN(percent)) {
    return [
      {
        check: 'disk',
        result: 'warning',
        text: `${paths.state} is not there yet`,
        hint: 'holdfast apply',
      },
    ];
  }
  const text = `${percent} % used, ${formatBytes(Number(free))} free under ${paths.state}`;
  if (percent <= 85) return [{ check: 'disk', result: 'ok', text }];
  return [
    {
      check: 'disk',
      result: percent > 90 ? 'problem' : 'warning',
      text,
      hint: 'docker system df shows what images and logs take; holdfast volumes list shows data that no service uses',
    },
  ];
};

const clock: Check = async ({ host }, _paths, now) => {
  const { stdout } = await host.run({ argv: ['date', '+%s'] });
  const apart = Math.abs(Number(stdout.trim()) - now.getTime() / 1000);
  if (apart < 30)
    return [{ check: 'clock', result: 'ok', text: `${now.toISOString().slice(0, 19)} UTC` }];
  return [
    {
      check: 'clock',
      result: 'problem',
      text: `the server's clock is ${Math.round(apart)} s away from this one`,
      hint: 'apt-get install systemd-timesyncd',
    },
  ];
};

const secretModes: Check = async ({ host }, paths) => {
  const folder = await host.stat(paths.secrets);
  if (folder === undefined) return [];
  const names = await host.list(paths.secrets);
  const open: string[] = folder.mode === 0o700 && folder.uid === 0 ? [] : [paths.secrets];
  for (const name of names) {
    const file = await host.stat(`${paths.secrets}/${name}`);
    if (file !== undefined && (file.mode !== 0o600 || file.uid !== 0))
      open.push(`${paths.secrets}/${name}`);
  }
  if (open.length === 0) {
    return [
      { check: 'secrets', result: 'ok', text: `${names.length} files, readable by root only` },
    ];
  }
  return [
    {
      check: 'secrets',
      result: 'problem',
      text: `others may read ${open.join(', ')}`,
      hint: `chown -R root:root ${paths.secrets} && chmod 0700 ${paths.secrets} && chmod 0600 ${paths.secrets}/*`,
    },
  ];
};

/** Only nginx may publish a port, and the engine's socket may be mounted nowhere. */
const closedStack: Check = async ({ host }) => {
  const { stdout: ids } = await host.run({
    argv: ['docker', 'ps', '--quiet', '--filter', `label=${LABELS.project}`],
  });
  const containers = ids.trim().split('\n').filter(Boolean);
  if (containers.length === 0) return [];
  // 1: one of them is gone by now; the others are told all the same.
  const { stdout } = await host.run({
    argv: ['docker', 'inspect', ...containers],
    okExitCodes: [0, 1],
  });
  const findings: Finding[] = [];
  const inspected = JSON.parse(stdout) as Inspected[];
  if (inspected.length === 0) {
    return [
      {
        check: 'closed',
        result: 'warning',
        text: 'the engine shows none of its containers, so their ports were not looked at',
        hint: 'holdfast doctor',
      },
    ];
  }
  for (const { Name, HostConfig, Mounts, Config } of inspected) {
    const published = Object.values(HostConfig.PortBindings ?? {}).flat();
    const hostPorts = published.map(({ HostPort }) => HostPort);
    if (hostPorts.length > 0 && Config.Labels['com.docker.compose.service'] !== 'nginx') {
      findings.push({
        check: 'closed',
        result: 'problem',
        text: `${Name.slice(1)} publishes port ${hostPorts.join(', ')}`,
        hint: 'holdfast apply',
      });
    }
    if (Mounts.some(({ Source }) => Source.endsWith('docker.sock'))) {
      findings.push({
        check: 'closed',
        result: 'problem',
        text: `${Name.slice(1)} holds the Docker socket`,
        hint: 'holdfast apply',
      });
    }
  }
  return findings.length > 0
    ? findings
    : [
        {
          check: 'closed',
          result: 'ok',
          text: `of ${containers.length} containers only nginx publishes ports`,
        },
      ];
};

interface Inspected {
  readonly Name: string;
  readonly HostConfig: {
    readonly PortBindings: Readonly<Record<string, readonly { HostPort: string }[]>> | null;
  };
  readonly Mounts: readonly { readonly Source: string }[];
  readonly Config: { readonly Labels: Readonly<Record<string, string>> };
}

const agentIsUp: Check = async ({ host }, paths) => {
  if (await agentRuns(host, paths)) return [{ check: 'agent', result: 'ok', text: 'is running' }];
  return [
    {
      check: 'agent',
      result: 'problem',
      text: 'is not running: no backups, no probes',
      hint: 'service holdfast-agent status',
    },
  ];
};

const publicCertificates: Check = async ({ host }, paths, now) =>
  (await certificateProblems(host, paths, now)).map(({ what, why, hint }) => ({
    check: 'certificates',
    result: 'problem',
    text: why === undefined ? what : `${what}: ${why.replaceAll('\n', '; ')}`,
    hint,
  }));

const guards: Check = async ({ host }, paths) =>
  (await guardProblems(host, paths)).map(({ check, what, hint }) => ({
    check,
    result: 'problem',
    text: what,
    hint,
  }));

const CHECKS: readonly Check[] = [
  engineAnswers,
  engineIsCurrent,
  composeVersion,
  diskSpace,
  clock,
  secretModes,
  closedStack,
  agentIsUp,
  publicCertificates,
  guards,
];
