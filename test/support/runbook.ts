import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from './component-input.ts';

/**
 * Commands of ours under a heading of a page for the operator, each as its words after `holdfast`.
 * @param as what the words that are examples there stand for here
 * @throws Error when there is none
 */
export function commandsOf(
  page: string,
  heading: string,
  as: Readonly<Record<string, string>>,
): string[][] {
  const [, block = ''] =
    new RegExp(`## ${heading}[^]*?\`\`\`sh\n([^]*?)\`\`\``).exec(textOf(page)) ?? [];
  const commands = block
    .split('\n')
    .map((line) => line.replace(/#.*/, '').matchAll(/"([^"]*)"|\S+/g))
    .map((words) => [...words].map(([word, quoted]) => as[quoted ?? word] ?? quoted ?? word))
    .filter(([program]) => program === 'holdfast')
    .map(([, ...words]) => words);
  if (commands.length === 0) throw new Error(`${page}.md has no commands under ${heading}`);
  return commands;
}

/** All shell of a page, in its order. */
export function scriptOf(page: string): string {
  return [...textOf(page).matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block).join('');
}

export function textOf(page: string): string {
  return readFileSync(join(PACKAGE_ROOT, 'docs/runbooks', `${page}.md`), 'utf8');
}
