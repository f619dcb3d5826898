import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { FirewallGuard } from '../../agent/firewall.ts';
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
