import { z } from 'zod';
import { choice, list, mapping, port } from '../../config/fields.ts';
import { filePath, name } from '../../config/fields-names.ts';
import { hostNameOrAddress } from '../../config/fields-network.ts';

const node = mapping(
  {
    name: name({ description: 'Name of the node.', examples: ['vps1'] }),
    host: hostNameOrAddress({ description: 'Its address.', examples: ['203.0.113.30'] }),
    region: name({ description: 'Where it stands.', examples: ['eu-fr'] }).optional(),
    roles: list(
      choice(
        [
          'edge',
          'dr-edge',
          'app',
          'db-primary',
          'db-standby',
          'redis-primary',
          'redis-replica',
          'monitor',
        ],
        { description: 'A role.' },
      ),
      { description: 'What it does.' },
    ).default(['edge', 'app', 'db-primary', 'redis-primary', 'monitor']),
    ssh: mapping(
      {
        user: z
          .string({ error: 'the name of a user' })
          .regex(/^[a-z_][a-z0-9_-]{0,31}$/, { error: 'the name of a user' })
          .meta({ description: 'User to log in as.' })
          .default('root'),
        port: port({ description: 'Port of its SSH server.' }).default(22),
        keyFile: filePath({
          description: 'Private key.',
          examples: ['~/.ssh/id_ed25519'],
        }).optional(),
      },
      { description: 'How to reach it.' },
    ).prefault({}),
  },
  { description: 'A server.' },
);

export const nodesSection = list(node, {
  description: 'The servers. None, or one, means the machine that apply runs on.',
}).default([]);

export type Node = z.output<typeof node>;
