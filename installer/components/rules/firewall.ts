import { JAILS } from '../firewall/jails.ts';
import { error, warning } from './finding.ts';
import { didYouMean } from './nearest.ts';
import type { Rule } from './rule.ts';

const DATA_PORTS: Readonly<Record<number, string>> = {
  5432: 'Postgres',
  6379: 'Redis',
  9090: 'Prometheus',
  2375: 'the Docker engine',
};

/** SSH keeps its own port, and nothing internal is opened by habit. */
export const portsAreSane: Rule = function* ({ file }) {
  const { firewall } = file;
  if (firewall.ssh.port === 80 || firewall.ssh.port === 443) {
    const message = `port ${firewall.ssh.port} belongs to nginx: choose another one for SSH`;
    yield error('ssh-port', ['firewall', 'ssh', 'port'], message);
  }
  for (const [index, node] of file.nodes.entries()) {
    if (node.ssh.port === 80 || node.ssh.port === 443) {
      const message = `port ${node.ssh.port} belongs to nginx: choose another one for SSH`;
      yield error('ssh-port', ['nodes', index, 'ssh', 'port'], message);
    }
  }
  for (const [index, port] of firewall.public.entries()) {
    const inside = DATA_PORTS[port];
    const path = ['firewall', 'public', index];
    if (inside !== undefined) {
      yield error(
        'data-port',
        path,
        `port ${port} is ${inside}'s: nothing of ours listens there, and nothing should`,
      );
    }
    if (firewall.public.indexOf(port) < index) {
      yield warning('duplicate-port', path, `port ${port} is there twice`);
    }
  }
  const { allowFrom } = firewall.ssh;
  if (allowFrom.includes('any') && allowFrom.length > 1) {
    const message = 'any lets everyone in: the other networks have no effect';
    yield warning('ssh-any', ['firewall', 'ssh', 'allowFrom'], message);
  }
};

/** A jail that we do not know would ban nobody. */
export const jailsAreKnown: Rule = function* ({ file }) {
  for (const name of Object.keys(file.firewall.fail2ban)) {
    if (JAILS.some((jail) => jail === name)) continue;
    const message = `no such jail${didYouMean(name, JAILS)}: ${JAILS.join(' or ')}`;
    yield error('unknown-jail', ['firewall', 'fail2ban', name], message);
  }
};

/** An ACME server asks from anywhere: behind Cloudflare its question arrives only by way of Cloudflare. */
export const challengeArrives: Rule = function* ({ file, config }) {
  const { issuer } = config.tls;
  if (file.firewall.httpAllowFrom !== 'cloudflare' || file.tls.challenge !== 'http-01') return;
  if (issuer === 'selfsigned' || issuer === 'files') return;
  const message =
    'http-01 arrives only while Cloudflare proxies every name: tls.challenge dns-01 needs no open port';
  yield warning('http-01-behind-proxy', ['firewall', 'httpAllowFrom'], message);
};
