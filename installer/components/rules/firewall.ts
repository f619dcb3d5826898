import { error, warning } from './finding.ts';
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
