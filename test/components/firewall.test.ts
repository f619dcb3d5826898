import t from 'tap';
import { firewall } from '../../installer/components/firewall/component.ts';
import { loadConfig } from '../../installer/config/load.ts';
import type { HostFacts } from '../../installer/model/facts.ts';
import { configOf, inputOf } from '../support/component-input.ts';
import { renderConfig } from '../support/golden.ts';

const RULES = '/var/lib/holdfast/stack/firewall/rules.nft';
const SERVICE = 'services: { web: { image: "a/b:1.2", port: 3000 } }\n';

/** What the component contributes to a machine with these facts. */
function contributed(body: string, facts: Partial<HostFacts> = {}) {
  const input = inputOf(configOf(`${SERVICE}${body}`), [firewall]);
  return firewall.contribute?.({ ...input, facts: { ...input.facts, ...facts } }) ?? {};
}

function rules(body: string): string {
  const head = 'version: 1\ndomain: app.example.com\ncontact: ops@example.com\n';
  return renderConfig(`${head}${SERVICE}${body}`).files.get(RULES)?.content ?? '';
}

/** A file of the firewall by its name; the jails when none is given. */
function rulesAt(body: string, name: string): string {
  const head = 'version: 1\ndomain: app.example.com\ncontact: ops@example.com\n';
  const path =
    name === '' ? '/etc/fail2ban/jail.d/holdfast.local' : RULES.replace('rules.nft', name);
  return renderConfig(`${head}${SERVICE}${body}`).files.get(path)?.content ?? '';
}

const sessionFrom = (address: string) => ({
  ssh: { ports: [22], session: { address, port: 22 } },
});

t.test('without a word in the config only SSH, 80 and 443 are open', async (t) => {
  const text = rules('');
  t.match(text, 'policy drop');
  t.match(text, 'tcp dport { 22 } accept');
  t.match(text, 'tcp dport { 80, 443 } accept');
  t.equal(
    text.split('ct status dnat ct original proto-dst { 80, 443 } accept').length,
    3,
    'to a container and, through a proxy on another port, to the host',
  );
});

t.test('the ports that SSH really listens on stay open, and the plan says so', async (t) => {
  const { files = [], notices = [] } = contributed('firewall: { ssh: { port: 22 } }', {
    ssh: { ports: [2222], session: { address: '192.0.2.1', port: 2222 } },
  });
  const [file] = files;
  t.match(file?.content, { data: { sshPorts: [22, 2222] } });
  t.match(notices, [{ code: 'firewall/ssh-port', text: /port 2222: kept open/ }]);
});

t.test('rules that would lock out who applies them are refused', async (t) => {
  const only = 'firewall: { ssh: { allowFrom: [192.0.2.0/24, "2001:db8::/32"] } }';
  for (const address of ['192.0.2.77', '2001:db8::5']) {
    t.doesNotThrow(() => contributed(only, sessionFrom(address)));
  }
  for (const address of ['198.51.100.1', '2001:db9::5']) {
    t.throws(() => contributed(only, sessionFrom(address)), {
      code: 'preflight/ssh-lock-out',
      what: new RegExp(`logged in from ${address}`),
    });
  }
  t.throws(
    () => contributed('firewall: { denyFrom: [198.51.100.0/24] }', sessionFrom('198.51.100.9')),
    { code: 'preflight/ssh-lock-out', why: /denyFrom/ },
  );
  t.doesNotThrow(
    () => contributed('firewall: { ssh: { allowFrom: [192.0.2.1] } }', { ssh: { ports: [22] } }),
    'at the console there is no address',
  );
});

t.test('behind Cloudflare 80 and 443 are open to its networks only', async (t) => {
  const text = rules('firewall: { public: [80, 443, 25], httpAllowFrom: cloudflare }');
  t.match(text, 'tcp dport { 80, 443 } ip saddr @proxies4 accept');
  t.match(text, 'tcp dport { 80, 443 } ip6 saddr @proxies6 accept');
  t.match(text, 'tcp dport { 25 } accept');
  t.match(text, '173.245.48.0/20');
  t.notMatch(text, 'tcp dport { 80, 443 } accept');
});

t.test('`enabled: false` takes the table away and leaves no unit', async (t) => {
  const { files = [] } = contributed('firewall: { enabled: false }', { nft: false });
  t.strictSame(
    files.map(({ path }) => path),
    ['firewall/rules.nft', 'firewall/bans.nft'],
  );
  t.notMatch(rules('firewall: { enabled: false }'), /^table/m);
});

t.test('a machine without nft is told what to install', async (t) => {
  t.throws(() => contributed('', { nft: false }), {
    code: 'preflight/nftables',
    hint: /apt-get install nftables/,
  });
});

t.test('a server below another root leaves the network of the machine alone', async (t) => {
  const input = inputOf(configOf(SERVICE), [firewall], { root: '/tmp/elsewhere' });
  t.strictSame(
    Object.keys(firewall.contribute?.(input) ?? {}),
    ['alerts'],
    'no file, folder or command',
  );
});

t.test('another firewall is left alone and named', async (t) => {
  const { notices = [] } = contributed('', { otherFirewalls: ['ufw'] });
  t.match(notices, [{ code: 'firewall/other', text: /^ufw is active too/ }]);
});

t.test('fail2ban is set up only when a jail is named', async (t) => {
  const paths = (body: string) => (contributed(body).files ?? []).map(({ path }) => path);
  t.notOk(paths('').some((path) => path.startsWith('/etc/') && path.includes('fail2ban')));
  t.match(rulesAt('', 'bans.nft'), /^delete table inet holdfast_bans$/m);
  const jail = rulesAt('firewall: { fail2ban: { sshd: { maxRetry: 3, banTime: 600 } } }', '');
  t.match(jail, /\[sshd\]\nenabled = true\nbackend = systemd\n[\s\S]*maxretry = 3\nbantime = 600/);
  t.notMatch(jail, 'http-auth');
  const other = rulesAt('firewall: { fail2ban: { nginxHttpAuth: {} } }', '');
  t.match(other, /\[sshd\]\nenabled = false/);
  t.match(other, /logpath = \/var\/lib\/holdfast\/logs\/nginx\/refused.log/);
});

t.test('whoever comes through a proxy cannot be banned here, and the plan says so', async (t) => {
  const { notices = [] } = contributed(
    'http: { realIp: cloudflare }\nfirewall: { fail2ban: { nginxHttpAuth: {} } }',
  );
  t.match(notices, [{ code: 'firewall/ban-behind-proxy' }]);
});

t.test('an unknown jail and a challenge that may not arrive are told', async (t) => {
  const head = 'version: 1\ndomain: app.example.com\ncontact: ops@example.com\n';
  const load = (body: string) => loadConfig(`${head}${SERVICE}${body}`, 'config.yaml');
  t.match(load('firewall: { fail2ban: { ssh: {} } }'), {
    ok: false,
    problems: [{ code: 'config/unknown-jail', message: /did you mean sshd/ }],
  });
  t.match(load('firewall: { httpAllowFrom: cloudflare }'), {
    ok: true,
    warnings: [{ code: 'config/http-01-behind-proxy' }],
  });
});
