import { posix } from 'node:path';

/** Where everything of holdfast stands on a server. All paths are absolute. */
export interface Paths {
  /** The installed program: `dist/`, assets and its Node runtime; a link that an upgrade swaps. */
  readonly program: string;
  /** What starts the program, for a person and for a forced command of sshd. */
  readonly launcher: string;
  /** Keys that may log in as root. Ours are the lines of `holdfast deploy-key`. */
  readonly authorizedKeys: string;
  /** The one file that a person edits. */
  readonly config: string;
  readonly state: string;
  /** Rendered files: the compose file and one folder per component. */
  readonly stack: string;
  /** Candidates of rendered files, for the validators; emptied after each apply. */
  readonly staging: string;
  /** Secret store, 0700 root; one file 0600 per secret. */
  readonly secrets: string;
  /** Copies of secrets that containers mount, 0700 root; `<service>/<NAME>`. */
  readonly secretMounts: string;
  readonly tls: string;
  readonly manifest: string;
  /** Versions, digests and subnets that are decided once and kept. */
  readonly lock: string;
  readonly audit: string;
  /** Written by an uninstall, before the first file goes: what tells the project once the stack is gone. */
  readonly projectRecord: string;
  /** A directory that exists while somebody changes this server. */
  readonly applyLock: string;
  readonly backups: string;
  /** WAL that waits for its way to the store; the receiver writes it. */
  readonly wal: string;
  /** Holds `services.json`, which says where nginx sends requests; nginx mounts the folder. */
  readonly edge: string;
  readonly agent: string;
  readonly agentSocket: string;
  /** There while new connections may be sent to a stand-in; like those rules, it does not outlive the machine. */
  readonly standIn: string;
  /** Releases of static sites, `<site>/releases/<digest>`, and a link to the one that nginx serves. */
  readonly sites: string;
  /** Text files that node-exporter reads. */
  readonly metrics: string;
}

/**
 * Whether a server has this machine to itself. One below another root, as the tests have them, shares its network and
 * its packages with others.
 */
export function hasMachine({ state }: Paths): boolean {
  return state === pathsUnder().state;
}

/** The standard layout; `root` is put before every path (tests run several servers on one machine). */
export function pathsUnder(root = ''): Paths {
  const state = posix.join('/', root, 'var/lib/holdfast');
  const inState = (name: string): string => posix.join(state, name);
  return {
    program: posix.join('/', root, 'opt/holdfast/current'),
    launcher: posix.join('/', root, 'usr/local/bin/holdfast'),
    authorizedKeys: posix.join('/', root, 'root/.ssh/authorized_keys'),
    config: posix.join('/', root, 'etc/holdfast/config.yaml'),
    state,
    stack: inState('stack'),
    staging: inState('staging'),
    secrets: inState('secrets'),
    secretMounts: inState('secret-mounts'),
    tls: inState('tls'),
    manifest: inState('manifest.json'),
    lock: inState('lock.json'),
    audit: inState('audit.log'),
    projectRecord: inState('project.json'),
    applyLock: inState('apply.lock'),
    backups: inState('backups'),
    wal: inState('wal'),
    edge: inState('edge'),
    agent: inState('agent'),
    agentSocket: posix.join('/', root, 'run/holdfast/agent.sock'),
    standIn: posix.join('/', root, 'run/holdfast-stand-in'),
    sites: inState('sites'),
    metrics: inState('metrics'),
  };
}
