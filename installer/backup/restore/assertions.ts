import { AppError } from '../../errors.ts';
import { type PostgresServer, runSql, SESSION_OF_USER } from '../psql.ts';

/**
 * The user's own statements. Each must yield true in every database where it can be run, and it must be possible
 * to run it in at least one. @throws AppError `restore/assertion-failed`
 */
export async function checkAssertions(
  server: PostgresServer,
  databases: readonly string[],
  assertions: readonly string[],
): Promise<void> {
  const problems: string[] = [];
  for (const assertion of assertions) {
    const outcomes = await Promise.all(
      databases.map((database) => evaluate(server, database, assertion)),
    );
    const answers = outcomes.filter((outcome) => outcome.kind === 'answer');
    const wrong = answers.find(({ text }) => text !== 't');
    if (wrong !== undefined) problems.push(`\`${assertion}\` yields ${wrong.text || 'nothing'}`);
    if (answers.length === 0)
      problems.push(`\`${assertion}\`: ${outcomes[0]?.text ?? 'no database'}`);
  }
  if (problems.length === 0) return;
  throw new AppError({
    code: 'restore/assertion-failed',
    what: 'the restored data is not what backups.verify.assertions say',
    why: problems.join('\n'),
    hint: 'look at the data: `holdfast restore ID --into check`',
    details: { problems },
  });
}

interface Outcome {
  readonly kind: 'answer' | 'error';
  readonly text: string;
}

async function evaluate(
  server: PostgresServer,
  database: string,
  assertion: string,
): Promise<Outcome> {
  const script = `BEGIN READ ONLY;\n${assertion.replace(/;\s*$/, '')};\nROLLBACK;`;
  try {
    const lines = await runSql(server, database, script, SESSION_OF_USER);
    return { kind: 'answer', text: lines.join(', ') };
  } catch (error) {
    if (error instanceof AppError && error.code === 'backup/sql') {
      return { kind: 'error', text: error.why ?? error.what };
    }
    throw error;
  }
}
