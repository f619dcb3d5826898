import { isPrivateName, projectOf } from '../components/rules/resolve.ts';

export interface Answers {
  readonly domain: string;
  readonly contact: string;
  /** An image reference, or a folder when it starts with `.` or `/`. */
  readonly image: string;
  readonly port: string;
  readonly health: string;
  readonly uses: 'postgres' | 'redis' | 'both' | 'none';
}

/**
 * A first config with a word on each line; every value is quoted where YAML could misread it.
 * @param recipient public half of a recovery key
 */
export function configText(answers: Answers, recipient?: string): string {
  const isFolder = /^[./]/.test(answers.image);
  const uses = { postgres: ['postgres'], redis: ['redis'], both: ['postgres', 'redis'], none: [] }[
    answers.uses
  ];
  return `# The one file that describes this server. After an edit: holdfast plan, then holdfast apply.
# All words: docs/reference/config.md, or config.example.yaml beside the program.
version: 1
# Containers and volumes go by this name: it stays, whatever becomes of the domain.
project: ${JSON.stringify(projectOf(answers.domain))}
domain: ${JSON.stringify(answers.domain)}
contact: ${JSON.stringify(answers.contact)}

# selfsigned: a private certificate authority on this server. letsencrypt: a public certificate.
tls: { issuer: ${isPrivateName(answers.domain) ? 'selfsigned' : 'letsencrypt'} }

services:
  web:
    ${isFolder ? `build: { context: ${JSON.stringify(answers.image)} }` : `image: ${JSON.stringify(answers.image)}`}
    port: ${answers.port}
    # Traffic arrives only while this path answers 200.
    health: { path: ${JSON.stringify(answers.health)} }
    # Injects DATABASE_URL and REDIS_URL; the passwords are generated.
    uses: [${uses.join(', ')}]
    routes: [{ host: ${JSON.stringify(answers.domain)}, path: / }]
    # Values of secrets never stand here: name them, then: holdfast secrets set NAME
    secrets: []
    env: {}

${backupsText(recipient)}`;
}

function backupsText(recipient: string | undefined): string {
  const elsewhere = `# storage:
#   providers:
#     r2: { kind: r2, accountSecret: R2_ACCOUNT_ID, region: auto, secretRef: R2_BACKUP }
`;
  const more = `provider: r2
#   bucket: my-backups
#   jobs: [{ name: daily, source: postgres, method: logical, cron: "0 2 * * *", keepRemote: 30d }]
`;
  if (recipient === undefined) {
    return `# Without this section: one dump a day to a folder on this machine, which is no help when the disk dies.
${elsewhere}# backups:
#   # holdfast recovery-key make
#   recipients: []
#   ${more}`;
  }
  return `# One dump a day to a folder on this machine, which is no help when the disk dies, until a bucket is named.
${elsewhere}backups:
  # Whoever has the secret half opens the backups, also when this server is gone.
  recipients: [${recipient}]
#   ${more}`;
}
