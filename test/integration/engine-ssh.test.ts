import t from 'tap';
import { engineOverSsh } from '../../installer/engine/over-ssh.ts';
import { SshHost } from '../../installer/host/ssh.ts';
import { engineSuite } from '../contract/engine-suite.ts';
import { dockerObjects } from '../support/docker-containers.ts';
import { startSshd } from '../support/sshd.ts';

t.test('DockerEngine through the socket that sshd forwards', async (t) => {
  const sshd = await startSshd(t);
  const host = await SshHost.connect(sshd.login());
  t.teardown(() => host.close());
  const engine = engineOverSsh(host);
  engineSuite(t, async (t) => ({ engine, ...(await dockerObjects(t)) }));
});

t.test('DockerEngine where sshd forwards nothing', async (t) => {
  const sshd = await startSshd(t, ['DisableForwarding yes']);
  const host = await SshHost.connect(sshd.login());
  t.teardown(() => host.close());
  const engine = engineOverSsh(host);
  engineSuite(t, async (t) => ({ engine, ...(await dockerObjects(t)) }));
});

t.test('a lost connection is said, not taken for a stopped engine', async (t) => {
  const sshd = await startSshd(t);
  const host = await SshHost.connect(sshd.login());
  t.teardown(() => host.close());
  const engine = engineOverSsh(host);
  await engine.info();
  sshd.cut();
  await t.rejects(engine.info(), { code: 'host/connection-lost' });
});
