import t from 'tap';
import { renderConfig } from '../support/golden.ts';

const CONFIG = `version: 1
domain: app.example.com
contact: ops@example.com
services: { web: { image: "a/b:1.2", port: 3000 } }
`;
const FILE = '/etc/apt/apt.conf.d/52holdfast-unattended';

t.test('security fixes install themselves unless the config says no', async (t) => {
  const { files } = renderConfig(CONFIG);
  t.match(files.get(FILE)?.onChange, [{ kind: 'host', id: 'unattended-upgrades' }]);
  t.match(files.get(FILE)?.content, /APT::Periodic::Unattended-Upgrade "1";/);
  const without = renderConfig(`${CONFIG}updates: { os: { unattended: false } }\n`);
  const { content = '', onChange = [] } = without.files.get(FILE) ?? {};
  t.match(content, /^APT::Periodic::Unattended-Upgrade "0";$/m, 'whatever the package has set');
  t.notMatch(content, '"1"');
  t.match(
    content,
    /Package-Blacklist \{\n {4}"\^docker\[\.\]io\$";/,
    'run by hand it leaves the engine alone',
  );
  t.strictSame(onChange, [], 'nothing is installed');
});
