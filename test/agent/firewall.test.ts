import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import t from 'tap';
import { FirewallGuard } from '../../agent/firewall.ts';
import { endLostDiversion } from '../../agent/stand-in.ts';
import { pathsUnder } from '../../installer/model/paths.ts';

const MINUTE = 60_000;

t.test(
  'the guard looks once a minute, tells the truth, and asks nothing without rules',
  async (t) => {
    const paths = pathsUnder(t.testdir({}));
    const said: string[] = [];
    const guard = new FirewallGuard(paths, (line) => said.push(line));
    mkdirSync(`${paths.program}/scripts`, { recursive: true });
    const script = (text: string) => writeFileSync(`${paths.program}/scripts/firewall.sh`, text);
    script('exit 1');
    t.equal(await guard.look(0), undefined, 'nothing of ours was ever confirmed');
    mkdirSync(`${paths.state}/firewall`, { recursive: true });
    writeFileSync(`${paths.state}/firewall/confirmed.nft`, '');
    t.equal(await guard.look(MINUTE / 2), undefined, 'not looked at again so soon');
    script('[ "$1" = ensure ] && echo "the table was gone"');
    t.equal(await guard.look(MINUTE), true);
    t.strictSame(said, ['firewall: the table was gone']);
    script('echo "no such device" >&2; exit 1');
    t.equal(await guard.look(MINUTE * 1.5), true, 'what was seen last');
    t.equal(await guard.look(MINUTE * 2), false);
    t.strictSame(said.slice(1), ['firewall: no such device']);
    rmSync(`${paths.state}/firewall/confirmed.nft`);
    t.equal(await guard.look(MINUTE * 3), undefined, 'taken out of the config');
  },
);

t.test('connections that go to a stand-in that is no more go to nginx again', async (t) => {
  const paths = pathsUnder(t.testdir({}));
  const ran: string[] = [];
  const said: string[] = [];
  let running = 'c0ffee\n';
  let ended = '';
  let refuses = false;
  let nftSays: string | undefined;
  const look = () =>
    endLostDiversion(
      paths,
      (line) => said.push(line),
      async (file, argv) => {
        ran.push([file, ...argv].join(' '));
        if (refuses) throw new Error('the engine does not answer');
        if (file === 'nft' && nftSays !== undefined) throw new Error(nftSays);
        if (argv.at(-1)?.endsWith('=nginx-ipv6') === true) return ended;
        return file === 'docker' ? running : '';
      },
    );
  await look();
  t.strictSame(ran, [], 'nothing is asked where no connection goes to a stand-in');

  mkdirSync(dirname(paths.standIn), { recursive: true });
  writeFileSync(paths.standIn, 'rules');
  await look();
  const asked = [
    /^docker ps .*status=running .*label=io.holdfast.stand-in=nginx$/,
    /^docker ps .*status=exited .*label=io.holdfast.stand-in=nginx-ipv6$/,
  ];
  t.match(ran, asked, 'one that runs answers');
  ended = 'beef\n';
  await look();
  t.match(ran.slice(2), [...asked, /^docker container start beef$/], 'over IPv6 too');
  t.ok(existsSync(paths.standIn));
  t.match(said.splice(0), ['the stand-in of nginx-ipv6 had ended: it was started again']);
  running = '';
  refuses = true;
  await look();
  t.ok(existsSync(paths.standIn), 'nothing is concluded from an engine that does not answer');
  t.match(said, [/does not answer/]);
  refuses = false;
  await look();
  t.match(ran.at(-1), /^nft .*delete table inet holdfast_stand_in/);
  t.notOk(existsSync(paths.standIn));

  writeFileSync(paths.standIn, 'rules');
  nftSays = 'netlink: Error: Could not process rule: Device or resource busy';
  await look();
  t.ok(existsSync(paths.standIn), 'the table may be there');
  nftSays = 'netlink: Error: cache initialization failed: Operation not permitted';
  await look();
  t.notOk(existsSync(paths.standIn), 'where nothing can be loaded nothing is there');
});
