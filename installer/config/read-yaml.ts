import {
  Composer,
  type Document,
  Lexer,
  LineCounter,
  type ParsedNode,
  Parser,
  type YAMLError,
} from 'yaml';
import type { Problem } from './problem.ts';
import { explainYamlError } from './yaml-errors.ts';
import { type PlainTree, toPlainTree } from './yaml-tree.ts';

/** Bounds that no honest config comes near and that keep a hostile one from costing time or memory. */
export const MAX_BYTES = 1024 ** 2;
const MAX_NESTING = 60;
const MAX_LEXEMES = 500_000;
const MAX_SYNTAX_PROBLEMS = 20;

export type ReadResult =
  | { readonly ok: true; readonly tree: PlainTree }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads YAML 1.2 from untrusted text. No file is opened, and the time is bounded by {@link MAX_BYTES}. */
export function readYaml(input: string | Uint8Array, file: string): ReadResult {
  const text = decode(input, file);
  if (typeof text !== 'string') return { ok: false, problems: [text] };
  const lines = new LineCounter();
  const at = (offset: number, code: Problem['code'], message: string): Problem => {
    const { line, col } = lines.linePos(offset);
    return { file, path: '', line, column: col, code, message, severity: 'error' };
  };
  const control = /[^\P{Cc}\t\n\r\u0085]/u.exec(text);
  if (control !== null) {
    countLines(text, lines);
    const problem = at(control.index, 'config/control-character', 'holds a control character');
    return { ok: false, problems: [problem] };
  }

  const parsed = parse(text, lines);
  if ('refusal' in parsed) {
    return { ok: false, problems: [at(parsed.offset, 'config/too-complex', parsed.refusal)] };
  }
  const [document, second] = parsed.documents;
  if (second !== undefined) {
    const message = 'a second document starts here: a config is one document';
    return { ok: false, problems: [at(second.range[0], 'config/syntax', message)] };
  }
  const mistakes = [...(document?.errors ?? []), ...(document?.warnings ?? [])];
  if (mistakes.length > 0) {
    return {
      ok: false,
      problems: inOrder(mistakes)
        .slice(0, MAX_SYNTAX_PROBLEMS)
        .map((mistake) => at(mistake.pos[0], 'config/syntax', explainYamlError(mistake))),
    };
  }
  const tree = toPlainTree(document?.contents ?? null, lines, file);
  return tree.refused ? { ok: false, problems: tree.problems } : { ok: true, tree };
}

function decode(input: string | Uint8Array, file: string): string | Problem {
  const refuse = (code: Problem['code'], message: string): Problem => ({
    file,
    path: '',
    line: 0,
    column: 0,
    code,
    message,
    severity: 'error',
  });
  const bytes = typeof input === 'string' ? Buffer.byteLength(input) : input.byteLength;
  if (bytes > MAX_BYTES) {
    return refuse('config/too-large', 'is larger than 1 MiB, the most that a config may have');
  }
  if (typeof input === 'string') return input.replace(/^\uFEFF/, '');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(input);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return refuse('config/encoding', 'is not UTF-8 text: save it as UTF-8');
  }
}

type Parsed =
  | { readonly documents: readonly Document.Parsed<ParsedNode, false>[] }
  | { readonly refusal: string; readonly offset: number };

/** Parses lexeme by lexeme, so that a bomb is noticed while it is still small. */
function parse(text: string, lines: LineCounter): Parsed {
  const parser = new Parser(lines.addNewLine);
  const tokens = [];
  let lexemes = 0;
  lines.addNewLine(0);
  for (const lexeme of new Lexer().lex(text)) {
    tokens.push(...parser.next(lexeme));
    lexemes += 1;
    if (parser.stack.length > MAX_NESTING) {
      return { refusal: 'is nested too deeply', offset: parser.offset };
    }
    if (lexemes > MAX_LEXEMES) {
      return { refusal: 'holds too many values', offset: parser.offset };
    }
  }
  tokens.push(...parser.end());
  // Duplicate keys are found by `toPlainTree` in linear time; the library compares every pair.
  const composer = new Composer<ParsedNode, false>({
    version: '1.2',
    uniqueKeys: false,
    resolveKnownTags: false,
    stringKeys: false,
  });
  return { documents: [...composer.compose(tokens, true, text.length)] };
}

function countLines(text: string, lines: LineCounter): void {
  lines.addNewLine(0);
  for (const newline of text.matchAll(/\n/g)) lines.addNewLine(newline.index + 1);
}

function inOrder(mistakes: readonly YAMLError[]): YAMLError[] {
  const sorted = [...mistakes].sort((left, right) => left.pos[0] - right.pos[0]);
  // One slip often makes the parser complain twice at the same place.
  return sorted.filter((mistake, index) => mistake.pos[0] !== sorted[index - 1]?.pos[0]);
}
