import t from 'tap';
import type { BadConfig } from './support.ts';
import { BASE, problemsOf } from './support.ts';

/** Secrets and placeholders in the file; no message repeats one. */
const rows: readonly BadConfig[] = [
  {
    name: 'a password in the environment',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, env: { SMTP_PASSWORD: hunter2hunter2 } }',
    ],
    says: [
      'config.yaml:5:63 services.web.env.SMTP_PASSWORD: holds a secret by its name: write SMTP_PASSWORD under secrets and store it with `holdfast secrets set SMTP_PASSWORD`',
    ],
  },
  {
    name: 'passwords of a service and an accessory that are called as the keys are',
    yaml: [
      'services:',
      '  env: { image: "a/b:1", env: { SMTP_PASSWORD: hunter2hunter2 } }',
      'accessories:',
      '  args: { image: "a/b:1", env: { SMTP_PASSWORD: hunter2hunter2 } }',
    ],
    says: [
      'config.yaml:5:48 services.env.env.SMTP_PASSWORD: holds a secret by its name: write SMTP_PASSWORD under secrets and store it with `holdfast secrets set SMTP_PASSWORD`',
      'config.yaml:7:49 accessories.args.env.SMTP_PASSWORD: holds a secret by its name: write SMTP_PASSWORD under secrets and store it with `holdfast secrets set SMTP_PASSWORD`',
    ],
  },
  {
    name: 'a token in lower case',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, env: { api_token: abcdef } }'],
    says: [
      'config.yaml:5:59 services.web.env.api_token: holds a secret by its name: write API_TOKEN under secrets and store it with `holdfast secrets set API_TOKEN`',
    ],
  },
  {
    name: 'a URL with a password in the environment',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, env: { BROKER: "amqp://web:hunter2@mq:5672/" } }',
    ],
    says: [
      'config.yaml:5:56 services.web.env.BROKER: holds a URL with a password in it: write BROKER under secrets and store it with `holdfast secrets set BROKER`',
    ],
  },
  {
    name: 'a known key anywhere',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, command: [run, AKIAIOSFODNN7EXAMPLE] }',
    ],
    says: [
      'config.yaml:5:56 services.web.command[1]: holds an AWS access key: store it with `holdfast secrets set NAME` and name it here',
    ],
  },
  {
    name: 'a private key in a build argument',
    yaml: [
      'services:',
      '  web:',
      '    build:',
      '      context: ./web',
      '      args:',
      '        DEPLOY: |',
      '          -----BEGIN OPENSSH PRIVATE KEY-----',
      '          b3BlbnNzaC1rZXktdjEAAAAA',
    ],
    says: [
      'config.yaml:9:17 services.web.build.args.DEPLOY: holds a private key: a build keeps what it is given where others can read it: leave it out',
    ],
  },
  {
    name: 'a placeholder',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, env: { MAIL_FROM: change_me } }'],
    says: [
      'config.yaml:5:59 services.web.env.MAIL_FROM: is a placeholder: write MAIL_FROM under secrets and store it with `holdfast secrets set MAIL_FROM`',
    ],
  },
  {
    name: 'a placeholder for the first user',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, env: { ADMIN_USER: admin, ADMIN_LOGIN: "Admin123!" } }',
    ],
    says: [
      'config.yaml:5:60 services.web.env.ADMIN_USER: is a placeholder: write ADMIN_USER under secrets and store it with `holdfast secrets set ADMIN_USER`',
      'config.yaml:5:80 services.web.env.ADMIN_LOGIN: is a placeholder: write ADMIN_LOGIN under secrets and store it with `holdfast secrets set ADMIN_LOGIN`',
    ],
  },
  {
    name: 'a secret in the build of a site',
    yaml: [
      'sites:',
      '  front:',
      '    build: { context: ./web, command: make, output: dist }',
      '    buildEnv: { NPM_TOKEN: abcdef }',
      '    hosts: [www.example.com]',
    ],
    says: [
      'config.yaml:7:28 sites.front.buildEnv.NPM_TOKEN: holds a secret by its name: a build keeps what it is given where others can read it: leave it out',
    ],
  },
  {
    name: 'a secret in the settings of a profile',
    yaml: [
      'profiles:',
      '  backend: { env: { JWT_SECRET: abcdef } }',
      'services:',
      '  web: { profile: backend, image: ghcr.io/acme/web:1.4.2 }',
    ],
    says: [
      'config.yaml:5:33 profiles.backend.env.JWT_SECRET: holds a secret by its name: write JWT_SECRET under secrets and store it with `holdfast secrets set JWT_SECRET`',
    ],
  },
  {
    name: 'a secret where another type belongs',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, port: ghp_abcdefghijklmnopqrstuvwxyz0123456789 }',
    ],
    says: [
      'config.yaml:5:47 services.web.port: holds a GitHub token: store it with `holdfast secrets set NAME` and name it here',
    ],
  },
];

for (const { name, yaml, says } of rows) {
  t.test(name, async (t) => {
    t.strictSame(problemsOf([BASE, ...yaml].join('\n')), says);
  });
}
