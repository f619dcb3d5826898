import { posix } from 'node:path';
import { AppError } from '../../errors.ts';
import type {
  AlertRule,
  Contribution,
  FileSpec,
  Notice,
  Reaction,
} from '../../model/contribution.ts';
import { hasMachine, pathsUnder } from '../../model/paths.ts';
import { CLOUDFLARE_NETWORKS } from '../cloudflare.ts';
import type { Component, ComponentInput } from '../component.ts';
import { banFiles, banNotices } from './fail2ban.ts';
import { refuseLockOut } from './lock-out.ts';
import { byVersion } from './networks.ts';

/** Loaded at boot: rules that a new connection has confirmed. */
export const CONFIRMED_RULES = `${pathsUnder().state}/firewall/confirmed.nft`;

const HTTP_PORTS = [80, 443];

const NOT_LOADED: AlertRule = {
  name: 'FirewallNotLoaded',
  component: 'firewall',
  expression: 'holdfast_firewall_loaded == 0',
  for: '5m',
  severity: 'page',
  summary: 'The firewall rules are not in force and cannot be loaded: every port answers.',
  runbook: 'firewall-not-loaded',
};

/** One table of our own for what may come in, to the host and to what Docker publishes. */
export const firewall: Component = {
  id: 'firewall',
  enabled: () => true,
  contribute,
};

function contribute(input: ComponentInput): Contribution {
  const { config, facts, paths } = input;
  const { enabled } = config.firewall;
  if (!hasMachine(paths)) return { alerts: enabled ? [NOT_LOADED] : [] };
  if (enabled) {
    requireNft(facts.nft);
    refuseLockOut(config.firewall, facts.ssh);
  }
  return {
    files: [rulesFile(input), ...(enabled ? [bootFile(input)] : []), ...banFiles(input)],
    ...(facts.nft
      ? {
          validators: [
            {
              id: 'nft',
              folder: 'firewall',
              program: ['nft', '--check', '--file'] as const,
              file: 'rules.nft',
            },
          ],
        }
      : {}),
    directories: [{ path: posix.dirname(CONFIRMED_RULES), mode: 0o700, uid: 0, gid: 0 }],
    alerts: enabled ? [NOT_LOADED] : [],
    notices: enabled ? [...notices(input), ...banNotices(config)] : [],
  };
}

function requireNft(isThere: boolean): void {
  if (isThere) return;
  throw new AppError({
    code: 'preflight/nftables',
    what: 'the firewall cannot be set up: the program nft is missing',
    why: 'nothing was changed',
    hint: 'apt-get install nftables, or leave the firewall out with `firewall: { enabled: false }`',
  });
}

function rulesFile(input: ComponentInput): FileSpec {
  const { config, facts, cloudflare = CLOUDFLARE_NETWORKS } = input;
  const { enabled, public: open, httpAllowFrom, ssh, denyFrom } = config.firewall;
  const isBehindProxy = httpAllowFrom === 'cloudflare';
  const forAll = isBehindProxy ? open.filter((port) => !HTTP_PORTS.includes(port)) : open;
  const forProxy = isBehindProxy ? open.filter((port) => HTTP_PORTS.includes(port)) : [];
  const sshFromAnywhere = ssh.allowFrom.includes('any');
  return {
    path: 'firewall/rules.nft',
    component: 'firewall',
    content: {
      template: 'templates/firewall/rules.nft.ejs',
      format: 'plain',
      data: {
        enabled,
        sets: [
          networkSet('denied', denyFrom),
          networkSet('administrators', sshFromAnywhere ? [] : ssh.allowFrom),
          networkSet('proxies', isBehindProxy ? cloudflare : []),
        ],
        sshPorts: sorted([ssh.port, ...facts.ssh.ports]),
        sshFromAnywhere,
        forAll: sorted(forAll),
        forProxy: sorted(forProxy),
      },
    },
    onChange: [load(input)],
  };
}

function networkSet(name: string, networks: readonly string[]) {
  return { name, ...byVersion(networks) };
}

function sorted(ports: readonly number[]): number[] {
  return [...new Set(ports)].sort((a, b) => a - b);
}

/** Before Docker publishes anything. */
function bootFile({ facts }: ComponentInput): FileSpec {
  const common = { component: 'firewall', onChange: [] };
  const data = { rules: CONFIRMED_RULES };
  return facts.systemd
    ? {
        ...common,
        path: '/etc/systemd/system/holdfast-firewall.service',
        content: {
          template: 'templates/firewall/holdfast-firewall.service.ejs',
          data,
          format: 'systemd',
        },
      }
    : {
        ...common,
        path: '/etc/init.d/holdfast-firewall',
        content: {
          template: 'templates/firewall/holdfast-firewall.init.ejs',
          data,
          format: 'plain',
        },
        mode: 0o755,
      };
}

/** The script goes back by itself unless `confirm` follows. */
function load({ paths }: ComponentInput): Reaction {
  const script = posix.join(paths.program, 'scripts/firewall.sh');
  return {
    kind: 'host',
    id: 'firewall-load',
    argv: ['sh', script, 'load'],
    confirm: ['sh', script, 'confirm'],
    impact: 'none',
  };
}

function notices({ config, facts }: ComponentInput): Notice[] {
  const others = facts.ssh.ports.filter((port) => port !== config.firewall.ssh.port);
  return [
    ...(others.length === 0
      ? []
      : [
          {
            code: 'firewall/ssh-port',
            text: `SSH listens on port ${others.join(', ')}: kept open beside firewall.ssh.port (${config.firewall.ssh.port})`,
          },
        ]),
    ...facts.otherFirewalls.map((name) => ({
      code: 'firewall/other',
      text: `${name} is active too and stays as it is: what it drops does not arrive, whatever our rules say`,
    })),
  ];
}
