import t from 'tap';
import { guestAddresses } from '../../installer/cli/maintenance-guests.ts';
import { commandTable } from '../../installer/cli/table.ts';
import { maintenanceFiles } from '../../installer/model/maintenance.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { runCommand } from '../support/cli.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { MemoryHost } from '../support/memory-host.ts';

const FILES = maintenanceFiles(pathsUnder());

function serverWith(host = new MemoryHost()) {
  host.files.write(`${pathsUnder().stack}/agent/agent.json`, Buffer.from('{"project":"app"}'), {
    mode: 0o644,
    uid: 0,
    gid: 0,
  });
  return { host, engine: new FakeEngine(host.effects) };
}

t.test('on writes the page and the guests first, and the switch last', async (t) => {
  const server = serverWith();
  const { host } = server;
  const run = (...argv: string[]) => runCommand(argv, commandTable, { server });
  const on = await run(
    ...['maintenance', 'on', '--message', 'Back at <18:00>', '--allow-from', '192.0.2.7'],
  );
  t.match(on, { exitCode: 0, stdout: /maintenance is on for everything/ });
  t.match(host.files.text(FILES.page), /Back at &lt;18:00&gt;/);
  t.equal(host.files.text(FILES.guests), '192.0.2.7\n');
  t.match(host.effects.transcript.at(-1), /all\.on/);
  await run('maintenance', 'on', '--allow-from', '192.0.2.8,2001:DB8::1');
  t.equal(host.files.text(FILES.guests), '192.0.2.8\n2001:db8::1\n', 'former guests leave');
  t.match(await run('maintenance', 'off'), { exitCode: 0, stdout: 'maintenance is off\n' });
  t.equal(host.files.stat(FILES.folder), undefined);
  t.match(await run('maintenance', 'off'), { exitCode: 0 }, 'twice is as good as once');
});

t.test('a kill at any moment leaves a page wherever the switch is on', async (t) => {
  for (let point = 1; ; point += 1) {
    const server = serverWith();
    server.host.crashAt({ effect: point, when: 'before' });
    const { exitCode } = await runCommand(['maintenance', 'on'], commandTable, { server });
    server.host.effects.revive();
    const isOn = server.host.files.stat(FILES.all) !== undefined;
    if (isOn) t.ok(server.host.files.stat(FILES.page), 'nobody is shown an empty page');
    if (exitCode === 0) break;
    await runCommand(['maintenance', 'on'], commandTable, { server });
    t.ok(server.host.files.stat(FILES.all), 'running it again ends it');
  }
});

t.test(
  'a server of an earlier version: its folder of guests, and an nginx that tells nothing',
  async (t) => {
    const server = serverWith();
    server.host.files.write(`${FILES.folder}/guests/192.0.2.1`, Buffer.from(''), {
      mode: 0o644,
      uid: 0,
      gid: 0,
    });
    const run = (...argv: string[]) => runCommand(argv, commandTable, { server });
    t.match(await run('maintenance', 'on', '--allow-from', '192.0.2.7'), { exitCode: 0 });
    t.match(await run('maintenance', 'off'), { stdout: 'maintenance is off\n' });
    server.engine.addImage('nginx:1');
    const { id } = server.engine.create({
      ...{
        name: 'app-nginx-1',
        service: 'nginx',
        image: 'nginx:1',
        checked: false,
        memoryLimit: 0,
      },
      ...{ networks: ['app_edge'], labels: { 'io.holdfast.project': 'app' } },
    });
    server.engine.start(id);
    server.host.on(['curl'], () => ({ stdout: '{"generation":1,"services":{},"inFlight":{}}' }));
    const early = await run('maintenance', 'on');
    t.match(early.stderr, /earlier version/);
    t.match(early.stderr, /holdfast apply/);
  },
);

t.test('guests are addresses and small networks', async (t) => {
  t.strictSame(guestAddresses('198.51.100.6/30, 203.0.113.9'), [
    '198.51.100.4',
    '198.51.100.5',
    '198.51.100.6',
    '198.51.100.7',
    '203.0.113.9',
  ]);
  t.strictSame(guestAddresses('2001:0DB8:0::1'), ['2001:db8::1'], 'as nginx writes it');
  for (const bad of [
    '10.0.0.0/8',
    '2001:db8::/64',
    'office',
    '192.0.2.0/24,192.0.3.0/24',
    '1.2.3.4/x',
  ]) {
    t.throws(() => guestAddresses(bad), { code: 'usage/bad-network' }, bad);
  }
});
