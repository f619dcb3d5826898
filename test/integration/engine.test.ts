import t from 'tap';
import { DockerEngine } from '../../installer/engine/docker.ts';
import { engineSuite } from '../contract/engine-suite.ts';
import { dockerObjects } from '../support/docker-containers.ts';

t.test('DockerEngine on this machine', async (t) =>
  engineSuite(t, async (t) => {
    const engine = new DockerEngine();
    t.teardown(() => engine.close());
    return { engine, ...(await dockerObjects(t)) };
  }),
);
