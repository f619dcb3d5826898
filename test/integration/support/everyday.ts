import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Appliance } from '../../support/appliance.ts';

interface Finding {
  readonly check: string;
  readonly result: string;
  readonly text: string;
}

/** What a person runs on an ordinary day, on a server with a service `web` and this database. */
export async function everydayCommands(
  t: Test,
  appliance: Appliance,
  database: string,
): Promise<void> {
  const version = await appliance.run(['exec', 'web', '--', 'node', '--version']);
  t.match(version, { exitCode: 0, stdout: /^v\d+\.\d+/ });
  // Not its exit code: the engine's client asks for that a moment before the engine knows, and says 0 then.
  const heard = await appliance.run(['exec', 'web', '--', 'sh', '-c', 'cat >&2'], 'a word');
  t.match(heard, { stderr: 'a word' }, 'input and errors are its own');

  const asked = await appliance.run(['psql', database], 'SELECT current_database(), 40 + 2;');
  t.match(asked, { exitCode: 0, stdout: new RegExp(`${database}\\s*\\|\\s*42`) });

  const last = await appliance.run(['logs', 'postgres', '--tail', '1']);
  t.match(last, { exitCode: 0, stdout: /^.+\n$/ });
  const unknown = await appliance.run(['logs', 'wbe']);
  t.match(unknown, { exitCode: 2, stderr: /the services are .*web/ });
  t.match(await followed(appliance), { exitCode: 0, said: /\n/ }, 'Control-C ends it well');

  const doctor = async () => {
    const { stdout } = await appliance.run(['doctor', '--json']);
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    return (check: string) => findings.find((finding) => finding.check === check);
  };
  const sound = await doctor();
  for (const check of ['engine', 'compose', 'clock', 'secrets']) {
    t.match(sound(check), { result: 'ok' }, check);
  }
  const secret = join(appliance.paths.secrets, 'POSTGRES_SUPERUSER_PASSWORD');
  await chmod(secret, 0o644);
  t.match((await doctor())('secrets'), { result: 'problem', text: `others may read ${secret}` });
  await chmod(secret, 0o600);
}

/** `logs --follow`, until it said something and was interrupted. */
async function followed(appliance: Appliance): Promise<{ exitCode: number | null; said: string }> {
  const child = appliance.start(['logs', 'postgres', '--follow', '--tail', '5']);
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    if (said === '') child.kill('SIGINT');
    said += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  return new Promise((resolve) => {
    child.once('close', (exitCode) => resolve({ exitCode, said }));
  });
}
