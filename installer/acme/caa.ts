import type { CaaRecord } from 'node:dns';
import { AppError } from '../errors.ts';
import { baseName } from './challenge.ts';
import { zoneCandidates } from './dns/provider.ts';
import { systemResolver } from './resolver.ts';

/** Who would sign for whom, and by which proof. */
export interface CaaAsker {
  /** What the authority calls itself in CAA records; nothing is checked when it does not say. */
  readonly identities: readonly string[];
  /** Our account at the authority. */
  readonly accountUrl: string;
  readonly challenge: string;
}

/**
 * Whether the CAA records of a domain let the authority sign (RFC 8659), for this account and by this proof
 * (RFC 8657): those of the name itself, or of the nearest parent that has any.
 * @throws AppError `certificate/caa`
 */
export async function checkCaa(host: string, asker: CaaAsker): Promise<void> {
  const { identities, accountUrl } = asker;
  if (identities.length === 0) return;
  const isWildcard = host.startsWith('*.');
  const name = baseName(host);
  const { at, records } = await nearestCaa(name);
  const issue = records.filter((record) => record.issue !== undefined);
  const wild = records.filter((record) => record.issuewild !== undefined);
  const relevant = isWildcard && wild.length > 0 ? wild : issue;
  if (relevant.length === 0) return;
  const values = relevant.map((record) => String(record.issuewild ?? record.issue ?? ''));
  if (values.some((value) => allows(value, asker))) return;
  const [identity = ''] = identities;
  const tag = isWildcard && wild.length > 0 ? 'issuewild' : 'issue';
  // Whoever ties the domain to an account wants that to stay so.
  const namesAccounts = values.some((value) => parametersOf(value, 'accounturi').length > 0);
  const wanted = namesAccounts ? `${identity}; accounturi=${accountUrl}` : identity;
  throw new AppError({
    code: 'certificate/caa',
    what: `the CAA records of ${at} do not let ${identity} sign for ${host}`,
    why: `they say ${values.map((value) => `${tag} ${JSON.stringify(value)}`).join(', ')}${namesAccounts ? `, and the account of this server is ${accountUrl}` : ''}`,
    hint: `at your DNS provider, add: ${at} CAA 0 ${tag} "${wanted}"`,
  });
}

async function nearestCaa(name: string): Promise<{ at: string; records: CaaRecord[] }> {
  // Not up to the top-level domain: none has such records, and some name servers refuse to say so.
  for (const at of zoneCandidates(name)) {
    const records = await caaOf(at);
    if (records.length > 0) return { at, records };
  }
  return { at: name, records: [] };
}

async function caaOf(name: string): Promise<CaaRecord[]> {
  try {
    return await systemResolver().resolveCaa(name);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENODATA' || code === 'ENOTFOUND') return [];
    throw new AppError({
      code: 'certificate/caa',
      what: `the CAA records of ${name} cannot be looked up, and an authority does not sign then`,
      why: `DNS answers ${code ?? String(error)}`,
      hint: 'check the name servers of the domain; holdfast tries again by itself',
      cause: error,
    });
  }
}

/** A value is a domain and parameters: `letsencrypt.org; validationmethods=dns-01`. */
function allows(value: string, { identities, accountUrl, challenge }: CaaAsker): boolean {
  const [domain = ''] = value.split(';');
  if (!identities.includes(domain.trim().toLowerCase())) return false;
  const [methods] = parametersOf(value, 'validationmethods');
  return (
    parametersOf(value, 'accounturi').every((uri) => uri === accountUrl) &&
    (methods === undefined ||
      methods
        .split(',')
        .map((one) => one.trim())
        .includes(challenge))
  );
}

function parametersOf(value: string, tag: string): string[] {
  return value
    .split(';')
    .slice(1)
    .map((parameter) => /^([^=]*)=(.*)$/.exec(parameter.trim()) ?? [])
    .flatMap(([, name, text]) => (name?.trim().toLowerCase() === tag ? [(text ?? '').trim()] : []));
}
