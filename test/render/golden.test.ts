import t from 'tap';
import {
  goldenFiles,
  readGolden,
  renderConfig,
  renderScenario,
  scenarios,
} from '../support/golden.ts';

for (const name of scenarios()) {
  t.test(
    `scenario ${name} renders as its golden tree says (npm run golden writes it anew)`,
    async (t) => {
      const rendered = goldenFiles(renderScenario(name));
      const golden = readGolden(name);
      t.strictSame([...rendered.keys()].sort(), [...golden.keys()].sort(), 'the same files');
      for (const [path, content] of rendered) t.equal(content, golden.get(path), path);
    },
  );

  t.test(`scenario ${name} renders the same twice`, async (t) => {
    t.strictSame(renderScenario(name).files, renderScenario(name).files);
  });
}

t.test('a config of many services takes time in proportion', async (t) => {
  const configOf = (count: number): string =>
    [
      'version: 1',
      'domain: app.example.com',
      'contact: ops@example.com',
      'services:',
      ...Array.from(
        { length: count },
        (_, index) =>
          `  s${index}: { image: "a/b:1.${index}", port: 3000, resources: { memory: 8m }, routes: [{ host: s${index}.example.com, path: / }] }`,
      ),
    ].join('\n');
  const desired = renderConfig(configOf(200));
  const users = Object.keys(desired.stack.services).filter((service) => /^s\d+$/.test(service));
  t.equal(users.length, 200);
});
