import { z } from 'zod';
import { choice, flag, list, mapping, port, seconds, wholeNumber } from '../../config/fields.ts';
import { cidr, cidrOrAny } from '../../config/fields-network.ts';

const jail = mapping(
  {
    maxRetry: wholeNumber(1, 1000, { description: 'Failures before the ban.' }).default(5),
    banTime: seconds({ description: 'Length of the ban.' }).prefault(3600),
  },
  { description: 'A fail2ban jail.' },
);

export const firewallSection = mapping(
  {
    enabled: flag({
      description:
        'Close every other port to the outside; false takes our rules away and leaves the machine as it is.',
    }).default(true),
    public: list(port({ description: 'A TCP port.' }), {
      description: 'Ports open to everyone, besides SSH.',
    }).default([80, 443]),
    httpAllowFrom: choice(['any', 'cloudflare'], {
      description: 'Who may reach 80 and 443.',
    }).prefault('any'),
    ssh: mapping(
      {
        port: port({ description: 'Port of the SSH server.' }).default(22),
        allowFrom: list(cidrOrAny({ description: 'A network, or any.' }), {
          description: 'Who may reach SSH.',
        })
          .min(1, { error: 'a list with at least one network, or any' })
          .default(['any']),
      },
      { description: 'SSH from outside.' },
    ).prefault({}),
    denyFrom: list(cidr({ description: 'An address or a network.' }), {
      description: 'Never let these in.',
    }).default([]),
    flowLogs: flag({ description: 'Log refused and accepted connections.' }).default(false),
    fail2ban: z
      .record(
        z
          .string()
          .regex(/^[A-Za-z][A-Za-z0-9-]{0,39}$/, { error: 'the name of a jail such as sshd' }),
        jail,
      )
      .meta({ description: 'Jails by name.', examples: [{ sshd: { maxRetry: 5, banTime: 3600 } }] })
      .default({}),
  },
  { description: 'What may come in.' },
).prefault({});

export type Firewall = z.output<typeof firewallSection>;
