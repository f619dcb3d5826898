import type { IncomingHttpHeaders } from 'node:http';
import { Agent, request } from 'node:https';
import { axios } from 'acme-client';
import { AcmeFailure } from './failure.ts';

/** An authority that says nothing for this long hangs, seconds. */
export const ANSWER_SECONDS = 30;
/** As often does acme-client ask anew in a row, and then throws an error that says nothing but words. */
const MOST_WRONG_NONCES = 5;
/** No answer of an ACME server comes near this, bytes. */
const LARGEST_ANSWER = 1024 * 1024;

type Adapter = Extract<typeof axios.defaults.adapter, (...given: never[]) => unknown>;

export interface TransportOptions {
  /** PEM of the authority that signed the ACME server; the system's ones when undefined. */
  readonly ca: string | undefined;
  readonly signal: AbortSignal;
  readonly answerSeconds: number;
}

/**
 * Lets acme-client talk through a transport of ours: with a deadline for each request, with the authority of
 * the config beside the system's, and with failures that can be told apart. The library's own one turns a
 * connection that breaks or hangs into a TypeError.
 */
export function useTransport({ ca, signal, answerSeconds }: TransportOptions): void {
  const agent = new Agent({ keepAlive: false, ...(ca === undefined ? {} : { ca }) });
  // Retries are ours: spaced out over runs.
  Object.assign(axios.defaults, { acmeSettings: { retryMaxAttempts: 0, retryDefaultDelay: 0 } });
  let wrongNonces = 0;
  const adapter: Adapter = async (config) => {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(answerSeconds * 1000)]);
    const answer = await ask(agent, deadline, {
      url: config.url ?? '',
      method: (config.method ?? 'get').toUpperCase(),
      headers: config.headers.toJSON() as Record<string, string>,
      body: typeof config.data === 'string' ? config.data : undefined,
    });
    const isWrongNonce = answer.status >= 400 && problemDocument(answer.body).type === 'badNonce';
    if (isWrongNonce) wrongNonces += 1;
    // Asking for another nonce is no POST.
    else if (config.method?.toLowerCase() === 'post') wrongNonces = 0;
    // Some are left to acme-client, which takes a new one and asks again.
    if (!isWrongNonce || wrongNonces > MOST_WRONG_NONCES) refuseProblem(answer);
    const headers = new Map(Object.entries(answer.headers).map(([k, v]) => [k, String(v)]));
    return {
      data: answer.body,
      status: answer.status,
      statusText: '',
      headers: Object.fromEntries(headers),
      config,
    };
  };
  axios.defaults.adapter = adapter;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Question {
  readonly url: string;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: string | undefined;
}

function ask(agent: Agent, signal: AbortSignal, question: Question): Promise<Answer> {
  const { method, headers, body } = question;
  const host = URL.canParse(question.url) ? new URL(question.url).host : question.url;
  const unreachable = (error: NodeJS.ErrnoException): AcmeFailure =>
    new AcmeFailure({ detail: `${host}: ${reasonOf(error)}` }, error);
  return new Promise((resolve, reject) => {
    const sent = request(question.url, { agent, method, headers, signal });
    sent.on('error', (error) => reject(unreachable(error)));
    sent.on('response', (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('error', (error) => reject(unreachable(error)));
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > LARGEST_ANSWER) sent.destroy(new Error('its answer has no end'));
        chunks.push(chunk);
      });
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
    sent.end(body);
  });
}

function reasonOf(error: NodeJS.ErrnoException): string {
  if (error.name === 'TimeoutError' || error.name === 'AbortError') {
    return 'no answer in time';
  }
  return error.message;
}

/** @throws AcmeFailure */
function refuseProblem({ status, headers, body }: Answer): void {
  if (status < 400) return;
  const { type, detail, subproblems } = problemDocument(body);
  const retryAfter = retryAfterSeconds(headers['retry-after']);
  throw new AcmeFailure({
    status,
    detail: [detail ?? `it answered ${status}`, ...subproblems].join('\n'),
    ...(type === undefined ? {} : { type }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });
}

interface ProblemDocument {
  readonly type: string | undefined;
  readonly detail: string | undefined;
  readonly subproblems: readonly string[];
}

function problemDocument(body: string): ProblemDocument {
  const none = { type: undefined, detail: undefined, subproblems: [] };
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === 'object' && parsed !== null ? problemOf(parsed) : none;
  } catch {
    // Something between us and the authority answered, such as a proxy's error page.
    return none;
  }
}

/** The words of a problem document of RFC 7807, in an answer or in an authorization that failed. */
export function problemOf(document: object): ProblemDocument {
  const text = (of: object, key: string): string | undefined => {
    const value: unknown = (of as Record<string, unknown>)[key];
    return typeof value === 'string' ? value : undefined;
  };
  const { subproblems } = document as { subproblems?: unknown };
  return {
    type: text(document, 'type')?.split(':').at(-1),
    detail: text(document, 'detail'),
    subproblems: Array.isArray(subproblems)
      ? subproblems.map((one: object) => text(one, 'detail') ?? '')
      : [],
  };
}

/** Seconds; the header holds a number of them or a date. */
export function retryAfterSeconds(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const seconds = /^\d+$/.test(header.trim())
    ? Number(header)
    : (Date.parse(header) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, Math.ceil(seconds));
}
