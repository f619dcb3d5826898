import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cliReference } from '../../installer/cli/reference.ts';
import { editorSchema } from '../../installer/config/docs/editor-schema.ts';
import { exampleConfig } from '../../installer/config/docs/example.ts';
import { referencePage } from '../../installer/config/docs/reference.ts';
import { errorsReference } from './errors-reference.ts';

interface GeneratedFile {
  /** From the root of the repository. */
  readonly path: string;
  readonly text: () => string;
}

/** Files that are written by `npm run docs` and never by hand. */
export const GENERATED: readonly GeneratedFile[] = [
  { path: 'config.example.yaml', text: exampleConfig },
  { path: 'config.schema.json', text: editorSchema },
  { path: 'docs/reference/config.md', text: referencePage },
  { path: 'docs/reference/cli.md', text: cliReference },
  { path: 'docs/reference/errors.md', text: errorsReference },
];

const ROOT = join(import.meta.dirname, '../..');

/** Paths whose file does not say what the generator says. */
export async function staleFiles(root = ROOT): Promise<readonly string[]> {
  const stale = await Promise.all(
    GENERATED.map(async ({ path, text }) => {
      const onDisk = await readIfThere(join(root, path));
      return onDisk === text() ? [] : [path];
    }),
  );
  return stale.flat();
}

async function writeAll(): Promise<void> {
  for (const { path, text } of GENERATED) {
    const file = join(ROOT, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text());
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

if (import.meta.main) {
  if (process.argv.includes('--check')) {
    const stale = await staleFiles();
    if (stale.length > 0) {
      console.error(`stale: ${stale.join(', ')}. Run: npm run docs`);
      process.exitCode = 1;
    }
  } else {
    await writeAll();
  }
}
