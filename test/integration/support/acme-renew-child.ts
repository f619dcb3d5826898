/** One renewal in a process of its own, which kills itself just before it writes a file whose path holds a word. */
import { PassThrough } from 'node:stream';
import { renewOnServer } from '../../../installer/cli/certificates.ts';
import { DockerEngine } from '../../../installer/engine/docker.ts';
import { LocalHost } from '../../../installer/host/local.ts';
import { pathsUnder } from '../../../installer/model/paths.ts';

const [root = '', address = '', at = '', fatal = ''] = process.argv.slice(2);

class MortalHost extends LocalHost {
  override async write(...given: Parameters<LocalHost['write']>): Promise<void> {
    if (fatal !== '' && given[0].includes(fatal)) process.kill(process.pid, 'SIGKILL');
    return super.write(...given);
  }
}

const server = { host: new MortalHost(), engine: new DockerEngine() };
await renewOnServer(
  {
    io: {
      stdin: new PassThrough(),
      out: () => undefined,
      err: () => undefined,
      isTerminal: false,
      color: false,
      columns: 80,
    },
    paths: pathsUnder(root),
    packageRoot: '',
    open: async () => server,
    report: () => undefined,
    signal: new AbortController().signal,
    now: () => new Date(Number(at)),
  },
  server,
  { urgentOnly: false, force: false, httpPort: 8080, edge: { address, port: 8443 } },
);
await server.engine.close();
