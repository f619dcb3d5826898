interface Rule {
  readonly matches: RegExp;
  readonly keeps: boolean;
}

/**
 * Which paths of a build context a `.dockerignore` leaves out, by the engine's own rules: later lines win,
 * `!` takes back, a folder that is left out takes its content along, `**` stands for any folders.
 */
export function ignoredBy(text: string): (path: string) => boolean {
  const rules = text.split(/\r?\n/).flatMap(readRule);
  return (path) => {
    let ignored = false;
    for (const rule of rules) {
      if (rule.matches.test(path)) ignored = !rule.keeps;
    }
    return ignored;
  };
}

function readRule(line: string): Rule[] {
  if (line.startsWith('#')) return [];
  const trimmed = line.trim();
  const keeps = trimmed.startsWith('!');
  const pattern = (keeps ? trimmed.slice(1) : trimmed)
    .trim()
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
  return pattern === '' ? [] : [{ keeps, matches: toExpression(pattern) }];
}

function toExpression(pattern: string): RegExp {
  let source = '';
  for (let index = 0; index < pattern.length; index += 1) {
    const character = pattern[index] ?? '';
    if (pattern.startsWith('**', index)) {
      index += 1;
      if (pattern[index + 1] === '/') {
        index += 1;
        source += '(?:.*/)?';
      } else source += '.*';
    } else if (character === '*') source += '[^/]*';
    else if (character === '?') source += '[^/]';
    else if (character === '[') {
      const end = pattern.indexOf(']', index + 1);
      if (end < 0) source += '\\[';
      else {
        source += pattern.slice(index, end + 1);
        index = end;
      }
    } else if (character === '\\' && index + 1 < pattern.length) {
      index += 1;
      source += escaped(pattern[index] ?? '');
    } else source += escaped(character);
  }
  return new RegExp(`^${source}(?:/.*)?$`);
}

function escaped(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&');
}
