import { AppError } from '../errors.ts';
import { certificateSettings, type RenewRequest, renewOnServer, waitText } from './certificates.ts';
import type { CliContext, Server } from './context.ts';
import { programOnServer, REMOTE_COMMAND_SECONDS } from './program-on-server.ts';

/**
 * After an apply the front door is up and proofs can be seen: asks the public authority for what is missing.
 * The server works with the private certificates whatever comes of it, so a failure is told and fails nothing.
 * @param where for tests: other ports than those of a server, less patience
 */
export async function bringCertificates(
  context: CliContext,
  server: Server,
  where: Pick<RenewRequest, 'httpPort' | 'edge' | 'answerSeconds'> = {},
): Promise<void> {
  const warn = ({ code, what, why, hint }: AppError): void => {
    const reason = why === undefined ? '' : `: ${why.replaceAll('\n', '; ')}`;
    context.report({ kind: 'warning', code, text: `${what}${reason}. ${hint}` });
  };
  try {
    const { source, acme } = await certificateSettings(server.host, context.paths);
    if (source !== 'acme' || acme === undefined) return;
    if (server.host.name !== 'localhost') return await renewThere(context, server);
    const { results } = await renewOnServer(context, server, {
      urgentOnly: false,
      force: false,
      ...where,
    });
    for (const result of results) {
      if (result.outcome === 'failed') warn(result.error);
      if (result.outcome === 'wait') {
        context.report({ kind: 'warning', code: 'certificate/waits', text: waitText(result) });
      }
    }
  } catch (error) {
    warn(error instanceof AppError ? error : bugAtCertificates(error));
  }
}

/** What comes after it in an apply is not to wait for a mended holdfast; the command shows all of it. */
function bugAtCertificates(error: unknown): AppError {
  return new AppError({
    code: 'bug/certificates',
    what: 'asking for certificates ended in a bug of holdfast',
    why: String(error),
    hint: 'See all of it with `holdfast certificates renew`, and please report it',
    cause: error,
  });
}

/** Whether names lead to a server and what it can reach is known on that server only. */
async function renewThere({ paths, report }: CliContext, { host }: Server): Promise<void> {
  const { exitCode, stderr } = await host.run({
    argv: programOnServer(paths, 'certificates', 'renew'),
    timeoutSeconds: REMOTE_COMMAND_SECONDS,
    okExitCodes: Array.from({ length: 256 }, (_, code) => code),
  });
  // What waits is told there too, and is no failure.
  if (exitCode === 0 && stderr.trim() === '') return;
  report({ kind: 'warning', code: 'certificate/on-server', text: stderr.trim() });
}
