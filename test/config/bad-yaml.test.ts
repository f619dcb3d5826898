import t from 'tap';
import type { BadConfig } from './support.ts';
import { BASE, problemsOf, WEB } from './support.ts';

/** Text that is not the YAML we read. */
const rows: readonly BadConfig[] = [
  {
    name: 'a quote that stays open',
    yaml: ['services:', '  web:', '    image: "ghcr.io/acme/web:1.4.2'],
    says: ['config.yaml:6:35 a quote, bracket, comma or colon is missing before this place'],
  },
  {
    name: 'a bracket that stays open',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, uses: [postgres }'],
    says: ['config.yaml:5:57 is not indented like the lines around it, or a bracket is not closed'],
  },
  {
    name: 'a tab as indentation',
    yaml: ['services:', '\tweb: { image: ghcr.io/acme/web:1.4.2 }'],
    says: ['config.yaml:5:1 a tab cannot indent: use blanks'],
  },
  {
    name: 'a line that is out of line',
    yaml: ['services:', '  web:', '    image: ghcr.io/acme/web:1.4.2', '   port: 3000'],
    says: ['config.yaml:7:1 is not indented like the lines around it, or a bracket is not closed'],
  },
  {
    name: 'a value with a colon',
    yaml: ['services:', '  web:', '    migrate: echo done: all'],
    says: [
      'config.yaml:6:14 a mapping cannot start here: put the value in quotes if it holds a colon',
    ],
  },
  {
    name: 'a value that needs quotes',
    yaml: ['services:', '  web:', '    image: @acme/web'],
    says: ['config.yaml:6:12 a value that starts with this character needs quotes'],
  },
  {
    name: 'a second document',
    yaml: [WEB, '---', 'version: 1'],
    says: ['config.yaml:6:1 a second document starts here: a config is one document'],
  },
  {
    name: 'a tag',
    yaml: ['services:', '  web: !service { image: ghcr.io/acme/web:1.4.2 }'],
    says: ['config.yaml:5:8 the tag (!name) is not known here: leave it out'],
  },
  {
    name: 'a tag of YAML itself that no config needs',
    yaml: ['services:', '  web: { image: !!binary aGk= }'],
    says: ['config.yaml:5:17 the tag (!name) is not known here: leave it out'],
  },
  {
    name: 'an unknown anchor',
    yaml: ['services:', '  web: *base'],
    says: ['config.yaml:5:8 services.web: the alias names an anchor that is not there'],
  },
  {
    name: 'an anchor within itself',
    yaml: ['services: &all', '  web: *all'],
    says: ['config.yaml:5:8 services.web: an alias cannot stand within what it names'],
  },
  {
    name: 'a mapping as a key',
    yaml: ['services:', '  ? { a: b }', '  : { image: ghcr.io/acme/web:1.4.2 }'],
    says: ['config.yaml:5:5 services: a key has to be plain text'],
  },
  {
    name: 'an unknown escape',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, command: "\\q" }'],
    says: [
      'config.yaml:5:51 an escape in double quotes is not known: write \\\\ for a backslash, or use single quotes',
    ],
  },
  {
    name: 'a control character',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, command: "a\u0000b" }'],
    says: ['config.yaml:5:52 holds a control character'],
  },
  {
    name: 'several mistakes at once',
    yaml: ['services:', '  web: { image: ]', '  api: { image: }'],
    says: ['config.yaml:5:17 is not indented like the lines around it, or a bracket is not closed'],
  },
];

for (const { name, yaml, says } of rows) {
  t.test(name, async (t) => {
    t.strictSame(problemsOf([BASE, ...yaml].join('\n')), says);
  });
}
