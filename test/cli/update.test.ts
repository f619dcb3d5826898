import t from 'tap';
import { refuseSecrets } from '../../installer/cli/update.ts';
import type { Operation } from '../../installer/model/operation.ts';
import { pathsUnder } from '../../installer/model/paths.ts';

const PATHS = pathsUnder();
const BASE = { cause: '', impact: 'none' } as const;

function write(path: string, secret = true): Operation {
  return { ...BASE, kind: 'write-file', id: `write-file:${path}`, path, diff: '', secret };
}

t.test('a secret that waits for its apply does not come along with an update', async (t) => {
  for (const path of [
    `${PATHS.stack}/compose.secrets.yaml`,
    `${PATHS.secretMounts}/web/API_KEY`,
    `${PATHS.stack}/redis/users.acl`,
  ]) {
    t.throws(
      () => refuseSecrets({ operations: [write(path)] }, PATHS),
      { code: 'config/not-applied', hint: 'holdfast apply' },
      path,
    );
  }
  const services = [{ service: 'grafana', change: 'create', cause: 'new' }] as const;
  refuseSecrets(
    {
      operations: [
        write(`${PATHS.stack}/compose.yaml`, false),
        write(`${PATHS.secretMounts}/nginx/app.example.com.pem`),
        write(`${PATHS.secretMounts}/grafana/GRAFANA_ADMIN_PASSWORD`),
        { ...BASE, kind: 'compose-up', id: 'compose-up:0', services },
      ],
    },
    PATHS,
  );
});
