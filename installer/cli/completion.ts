import { AppError } from '../errors.ts';
import type { CommandSpec } from './command.ts';

/** The completion script of a shell; bash when none is named. @throws AppError `usage/no-completion` */
export function completionFor(shell = 'bash', table: readonly CommandSpec[]): string {
  if (shell === 'bash') return completionScript(table);
  throw new AppError({
    code: 'usage/no-completion',
    what: `there is no completion for ${JSON.stringify(shell)}`,
    why: 'there is one for bash',
    hint: 'holdfast completion bash',
  });
}

/** A bash completion script for the table: `holdfast completion > /etc/bash_completion.d/holdfast`. */
export function completionScript(table: readonly CommandSpec[]): string {
  const words = new Map<string, Set<string>>();
  for (const { name, options } of table) {
    const [first = '', second] = name.split(' ');
    const own = words.get(first) ?? new Set<string>();
    if (second !== undefined) own.add(second);
    for (const option of Object.keys(options ?? {})) own.add(`--${option}`);
    words.set(first, own.add('--help'));
  }
  const cases = [...words].map(
    ([first, own]) =>
      `    ${first}) COMPREPLY=($(compgen -W '${[...own].join(' ')}' -- "$current")) ;;`,
  );
  return [
    '# bash completion of holdfast',
    '_holdfast() {',
    '  local current=${COMP_WORDS[COMP_CWORD]}',
    '  if [ "$COMP_CWORD" -eq 1 ]; then',
    `    COMPREPLY=($(compgen -W '${[...words.keys()].join(' ')}' -- "$current"))`,
    '    return',
    '  fi',
    '  case ${COMP_WORDS[1]} in',
    ...cases,
    '  esac',
    '}',
    'complete -o default -F _holdfast holdfast',
    '',
  ].join('\n');
}
