import { execFile } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { PACKAGE_ROOT } from '../support/component-input.ts';

/** The parts of install.sh that look, on a machine that is made up by functions in front of the programs. */
const run = promisify(execFile);

const FIT = `
id() { echo 0; }
uname() { echo x86_64; }
df() { printf 'x\\nx x x 9000 x x\\n'; }
date() { case $1 in +%s) echo 1900000000 ;; *) echo '2030-03-17 17:46' ;; esac; }
stat() { echo 1800000000; }
port_holder() { :; }
ours_holds() { return 1; }
getent() { echo '203.0.113.7 STREAM'; echo '203.0.113.7 DGRAM'; echo '2001:db8::7 STREAM'; }
hostname() { echo '10.0.0.4 2001:db8::7 172.17.0.1'; }
`;

async function look(t: Test, more = '', given = '', domain = 'app.example.com') {
  const folder = t.testdir({
    'os-release': 'ID=debian\nVERSION_ID="13"\n',
    'other-release': 'ID=ubuntu\nVERSION_ID="24.04"\n',
    meminfo: 'MemTotal:        4000000 kB\n',
    'small-meminfo': 'MemTotal:         500000 kB\n',
    'config.yaml': `version: 1\ndomain: "${domain}"  # ours\n`,
  });
  const script = `set -euo pipefail
. ${PACKAGE_ROOT}/scripts/lib/machine-checks.sh
${FIT}
cd ${folder}
OS_RELEASE=os-release MEMINFO=meminfo APPLIED=nothing
${more}
machine_problems config.yaml "$1"
check_project config.yaml
printf 'problem %s\\n' "\${PROBLEMS[@]}"
printf 'warning %s\\n' "\${WARNINGS[@]}"
`;
  const { stdout } = await run('bash', ['-c', script, 'bash', given]);
  const said = stdout.split('\n').filter((line) => !/^(problem |warning )?$/.test(line));
  return said;
}

t.test('nothing is said of a machine that is fit', async (t) => {
  t.strictSame(await look(t), []);
  t.strictSame(await look(t, '', 'config.yaml'), []);
});

t.test('every problem is told at once', async (t) => {
  const bad = `
OS_RELEASE=other-release MEMINFO=small-meminfo
id() { echo 1000; }
uname() { echo armv7l; }
df() { printf 'x\\nx x x 800 x x\\n'; }
date() { case $1 in +%s) echo 1000000000 ;; *) echo '2001-09-09 01:46' ;; esac; }
port_holder() { echo "apache2 (pid $1)"; }
`;
  t.strictSame(await look(t, bad, 'nowhere.yaml'), [
    'problem this needs root: sudo ./scripts/install.sh',
    'problem holdfast runs on Debian 12 and 13; this is ubuntu 24.04',
    'problem holdfast runs on amd64 and arm64; this is armv7l',
    'problem 488 MB of memory; 900 MB are needed',
    'problem 800 MB free under /var/lib; 6000 MB are needed',
    'problem port 80 is taken by apache2 (pid 80): stop it first',
    'problem port 443 is taken by apache2 (pid 443): stop it first',
    'problem the clock says 2001-09-09 01:46 UTC, before the last change to this system: set it first',
    'problem the clock says 2001-09-09 01:46 UTC, years ago: set it first',
    'problem there is no config file nowhere.yaml',
  ]);
});

t.test('a folder is no config', async (t) => {
  t.match(await look(t, '', '/'), ['problem there is no config file /']);
});

t.test('ports that we hold ourselves are as good as free', async (t) => {
  t.strictSame(await look(t, 'port_holder() { echo nginx; }; ours_holds() { return 0; }'), []);
});

t.test('a config of another project than the one that runs is a problem', async (t) => {
  const runs = (project: string, checked: string) => `
echo '{ "version": 1, "project": "${project}" }' >agent.json
APPLIED=agent.json
holdfast() { echo '${checked}'; return 2; }
`;
  const report = '{"version":1,"ok":true,"project":"app","problems":[]}';
  t.strictSame(await look(t, runs('app', report)), []);
  t.strictSame(await look(t, runs('demo', '{"version":1,"ok":false,"problems":[]}')), []);
  t.match(await look(t, runs('demo', report)), [
    /^problem this server runs the project demo, and config\.yaml is of the project app, .* `project: demo` /,
  ]);
});

t.test('a domain that leads nowhere, or elsewhere, is a warning', async (t) => {
  t.match(await look(t, 'getent() { return 2; }'), [/^warning app\.example\.com does not resolve/]);
  t.match(await look(t, "hostname() { echo '10.0.0.4 203.0.113.70'; }"), [
    /^warning app\.example\.com leads to 203\.0\.113\.7, 2001:db8::7, which is no address/,
  ]);
  t.strictSame(await look(t, 'getent() { return 2; }', '', 'localhost'), []);
});

t.test('the closing lines name a service that there is', async (t) => {
  const home = t.testdir({});
  await mkdir(join(home, 'current/node_modules/.bin'), { recursive: true });
  await symlink(process.execPath, join(home, 'current/node_modules/.bin/node'));
  const named = async (status: string, exitCode = 0) => {
    await writeFile(join(home, 'status.json'), status);
    const script = `set -euo pipefail
. ${PACKAGE_ROOT}/scripts/lib/program.sh
PROGRAM_HOME=${home}
holdfast() { cat ${home}/status.json; return ${exitCode}; }
service_to_show`;
    return (await run('bash', ['-c', script])).stdout;
  };
  const services = [{ service: 'nginx' }, { service: 'shop', watched: {} }];
  t.equal(await named(JSON.stringify({ services })), 'shop\n');
  t.equal(await named(JSON.stringify({ services }), 11), 'shop\n', 'also when it is unwell');
  t.equal(await named(JSON.stringify({ services: [{ service: 'nginx' }] })), 'nginx\n');
  t.equal(await named('', 8), 'nginx\n');
});
