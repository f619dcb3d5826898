import { z } from 'zod';
import {
  choice,
  duration,
  flag,
  line,
  list,
  mapping,
  size,
  textMatching,
  wholeNumber,
} from '../../config/fields.ts';
import { name, secretName } from '../../config/fields-names.ts';
import { cidr, edgePath } from '../../config/fields-network.ts';

const rateLimitKey = z
  .string({ error: 'ip, jwt:<claim>, header:<name> or cookie:<name>' })
  .regex(/^(?:ip|(?:jwt|header|cookie):[A-Za-z0-9_-]{1,64})$/, {
    error: 'ip, jwt:<claim>, header:<name> or cookie:<name>',
  })
  .meta({
    description:
      'What is counted: the client address (of IPv6 its /64), or a claim of a bearer token, a header or a cookie. Who shows none of these is counted by his address (without a token: unless a limit by `ip` holds on the same route, then by that one alone), and so is an address that has shown 256 headers or cookies within the window, for any further one.',
  });

const rateLimit = mapping(
  {
    name: name({ description: 'Name, for `routes[].rateLimit`.', examples: ['login'] }),
    key: rateLimitKey.default('ip'),
    limit: wholeNumber(1, 1_000_000, { description: 'Requests per window.', examples: [100] }),
    window: duration({ description: 'Length of the sliding window.' }).prefault('1m'),
    standardHeaders: flag({
      description: 'Send the RateLimit and RateLimit-Policy headers.',
    }).default(true),
    onFailure: choice(['open', 'closed'], {
      description: 'While nothing can be counted: let requests pass, or answer 503.',
    }).prefault('open'),
    verifyWith: secretName({
      description:
        'Secret that verifies the token of `jwt:<claim>`: a text for HS256, a public key in PEM for RS256 or ES256. Requests without a valid token fall under the limits by `ip`; where none holds on the same route, they are counted by their address.',
      examples: ['JWT_SECRET'],
    }).optional(),
  },
  { description: 'A limit. One that no route names holds for every proxied route.' },
);

const realIp = z
  .union(
    [
      choice(['none', 'cloudflare'], {
        description: 'none, or the published networks of Cloudflare.',
      }),
      list(cidr({ description: 'An address or a network.' }), {
        description: 'Proxies to believe.',
      }),
    ],
    { error: 'none, cloudflare or a list of networks' },
  )
  .meta({ description: 'Whose X-Forwarded-For is believed.' });

/** nginx has no escape for a dollar sign, and takes 4096 bytes in which each quotation mark counts twice. */
const permissionsPolicy = textMatching(
  'one line of text',
  'one line of at most 2000 ASCII characters without $',
  /^[\x20-\x23\x25-\x7e]+$/,
  { description: 'Permissions-Policy header.', examples: ['camera=(), microphone=()'] },
  2000,
);

const cspSource = line({ description: 'A source.' }).refine((value) => !/[;,"\\$]/.test(value), {
  error: 'a source without ; , " $ or a backslash',
});

const country = z
  .string({ error: 'a country code such as FR, or EU' })
  .regex(/^[A-Z]{2}$/, { error: 'a country code such as FR, or EU' })
  .meta({ description: 'Country code, or EU.', examples: ['FR'] });

const corsOrigin = z
  .string({ error: 'an origin such as https://app.example.com or https://*.example.com' })
  .regex(/^(?:\*|https?:\/\/(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::\d{1,5})?)$/, {
    error: 'an origin such as https://app.example.com or https://*.example.com',
  })
  .max(300, { error: 'an origin of at most 300 characters' })
  .meta({
    description: 'An origin; `*.` stands for any subdomain.',
    examples: ['https://*.example.com'],
  });

export const httpSection = mapping(
  {
    gzip: flag({ description: 'Compress answers.' }).default(true),
    http2: flag({ description: 'Speak HTTP/2.' }).default(true),
    workerConnections: wholeNumber(64, 65_536, {
      description: 'Connections per nginx worker.',
    }).default(4096),
    clientMaxRequests: wholeNumber(0, 65_536, {
      description:
        'Requests that one client address (of IPv6 its /64) may have open at once, WebSockets included; 429 beyond. 0 for any number.',
    }).default(512),
    clientMaxBodySize: size({ description: 'Largest request body.' }, 1).prefault('10m'),
    denyPaths: list(edgePath({ description: 'A path prefix.' }), {
      description:
        'Path prefixes that answer 404 on every host, in upper and lower case, with the compressed copies of files of sites.',
      examples: [['/internal/']],
    }).default([]),
    realIp: realIp.prefault('none'),
    headers: mapping(
      {
        frameOptions: choice(['DENY', 'SAMEORIGIN', 'none'], {
          description: 'Who may show the pages in a frame; `none` sends no header.',
        }).prefault('DENY'),
        noSniff: flag({ description: 'X-Content-Type-Options: nosniff.' }).default(true),
        referrerPolicy: choice(
          [
            'no-referrer',
            'no-referrer-when-downgrade',
            'origin',
            'origin-when-cross-origin',
            'same-origin',
            'strict-origin',
            'strict-origin-when-cross-origin',
            'unsafe-url',
          ],
          { description: 'What other sites learn about where a visitor came from.' },
        ).prefault('strict-origin-when-cross-origin'),
        permissionsPolicy: permissionsPolicy.optional(),
      },
      { description: 'Security headers, on every answer.' },
    ).prefault({}),
    csp: z
      .record(
        z.string().regex(/^[a-z][a-z-]*$/, { error: 'a directive such as script-src' }),
        list(cspSource, { description: 'Sources of the directive.' }),
      )
      .meta({
        description: 'Content-Security-Policy, by directive.',
        examples: [{ 'default-src': ["'self'"] }],
      })
      .default({}),
    cspReportOnly: flag({ description: 'Report violations, block nothing.' }).default(false),
    waf: mapping(
      {
        mode: choice(['off', 'detect', 'block'], {
          description: 'Whether ModSecurity logs or blocks.',
        }).prefault('off'),
        ruleset: choice(['owasp-crs'], { description: 'Rules.' }).prefault('owasp-crs'),
        exclude: list(edgePath({ description: 'A route path.' }), {
          description: 'Route paths that are left alone.',
          examples: [['/uploads/']],
        }).default([]),
      },
      {
        description:
          'Web application firewall, for services; caches of `edgeCache` are not inspected.',
      },
    ).prefault({}),
    geo: mapping(
      {
        allow: list(country, { description: 'Only these.' }).default([]),
        deny: list(country, { description: 'All but these.' }).default([]),
      },
      { description: 'Access by country.' },
    ).optional(),
    cors: mapping(
      {
        allowOrigins: list(corsOrigin, {
          description: 'Origins whose pages may call; `*` alone for all, without cookies.',
        }).default([]),
        credentials: flag({
          description: 'Whether the listed origins may send cookies and passwords.',
        }).default(true),
      },
      {
        description:
          'Cross-origin requests, answered by the edge on every host. What a service says about them is left out.',
      },
    ).optional(),
    rateLimits: list(rateLimit, { description: 'Limits of requests.' }).default([]),
  },
  { description: 'What nginx does for every host.' },
).prefault({});

export type Http = z.output<typeof httpSection>;
export type RateLimit = z.output<typeof rateLimit>;
