import { isAlias, isMap, isScalar, isSeq, type LineCounter, type Node, type Scalar } from 'yaml';
import type { PathStep } from '../components/rules/finding.ts';
import { formatPath, type Problem } from './problem.ts';

/** Aliases may repeat a value, as long as the whole does not grow beyond this many values. */
const MAX_VALUES = 200_000;
/** More than a person reads. */
const MAX_PROBLEMS = 200;

export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Plain values, and where each stands in the text. */
export interface PlainTree {
  readonly value: unknown;
  /** Duplicate and odd keys, unknown aliases. The values without them can still be looked at. */
  readonly problems: readonly Problem[];
  /** Where a value is not there because of one of the problems. */
  readonly holes: readonly (readonly PathStep[])[];
  /** Nothing but the problem is to be looked at. */
  readonly refused: boolean;
  /** Place of the key or the value at a path; of the nearest thing above it when the path is not there. */
  readonly place: (path: readonly PathStep[], at: 'key' | 'value') => Place;
}

interface Anchor {
  readonly node: Node;
  readonly value: unknown;
  readonly weight: number;
}

interface Converted {
  readonly value: unknown;
  /** Number of values with aliases written out. */
  readonly weight: number;
}

class TooLarge extends Error {}

/** Turns nodes into plain values; finds what the parser lets pass: duplicate and odd keys, unknown aliases, bombs. */
export function toPlainTree(root: Node | null, lines: LineCounter, file: string): PlainTree {
  const problems: Problem[] = [];
  const holes: (readonly PathStep[])[] = [];
  const anchors = new Map<string, Anchor | 'open'>();
  const targets = new Map<Node, Node>();

  const report = (
    node: Node,
    path: readonly PathStep[],
    code: Problem['code'],
    message: string,
  ) => {
    if (problems.length >= MAX_PROBLEMS) return;
    const { line, col } = lines.linePos(node.range?.[0] ?? 0);
    problems.push({
      file,
      path: formatPath(path),
      line,
      column: col,
      code,
      message,
      severity: 'error',
    });
  };

  function convert(node: Node | null, path: readonly PathStep[]): Converted {
    if (node === null) return { value: null, weight: 1 };
    if (isAlias(node)) return followAlias(node, path);
    const anchor = 'anchor' in node ? node.anchor : undefined;
    if (anchor !== undefined) anchors.set(anchor, 'open');
    const converted = convertPlain(node, path);
    if (converted.weight > MAX_VALUES) throw new TooLarge();
    if (anchor !== undefined) anchors.set(anchor, { node, ...converted });
    return converted;
  }

  function convertPlain(node: Node, path: readonly PathStep[]): Converted {
    if (isMap<Node, Node | null>(node)) {
      const entries = new Map<string, unknown>();
      let weight = 1;
      for (const pair of node.items) {
        const key = keyText(pair.key, path);
        const child = convert(pair.value, [...path, key ?? '']);
        weight += child.weight;
        if (key === undefined) continue;
        if (entries.has(key)) {
          report(pair.key, [...path, key], 'config/duplicate-key', 'the key is there twice');
        }
        entries.set(key, child.value);
      }
      return { value: Object.fromEntries(entries), weight };
    }
    if (isSeq<Node>(node)) {
      let weight = 1;
      const value = node.items.map((item, index) => {
        const child = convert(item, [...path, index]);
        weight += child.weight;
        return child.value;
      });
      return { value, weight };
    }
    return { value: isScalar(node) ? node.value : null, weight: 1 };
  }

  function followAlias(node: Node & { source: string }, path: readonly PathStep[]): Converted {
    const anchor = anchors.get(node.source);
    if (anchor === undefined || anchor === 'open') {
      const message =
        anchor === 'open'
          ? 'an alias cannot stand within what it names'
          : 'the alias names an anchor that is not there';
      report(node, path, 'config/alias', message);
      holes.push(path);
      return { value: null, weight: 1 };
    }
    targets.set(node, anchor.node);
    return anchor;
  }

  function keyText(key: Node, path: readonly PathStep[]): string | undefined {
    if (isScalar(key) && key.value !== null && key.value !== '__proto__') return scalarText(key);
    const message = isScalar(key) ? 'the key is not allowed' : 'a key has to be plain text';
    report(key, path, 'config/key', message);
    if (!isScalar(key)) holes.push(path);
    return undefined;
  }

  let value: unknown = null;
  let refused = false;
  try {
    value = convert(root, []).value;
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    refused = true;
    problems.length = 0;
    problems.push({
      file,
      path: '',
      line: 0,
      column: 0,
      code: 'config/too-complex',
      message: 'holds too many values once its aliases are written out',
      severity: 'error',
    });
  }
  return { value, problems, holes, refused, place: placeFinder(root, targets, lines) };
}

function scalarText(key: Scalar): string {
  // A number as a key keeps its spelling: `007` and `7` are different names.
  return typeof key.value === 'string' ? key.value : (key.source ?? String(key.value));
}

function placeFinder(
  root: Node | null,
  targets: ReadonlyMap<Node, Node>,
  lines: LineCounter,
): PlainTree['place'] {
  const placeOf = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  return (path, at) => {
    let node = root;
    let keyOffset = root?.range?.[0] ?? 0;
    for (const step of path) {
      const here: Node | null = (node && targets.get(node)) ?? node;
      if (isMap<Node, Node | null>(here)) {
        const pair = here.items.find(
          (item) => isScalar(item.key) && scalarText(item.key) === String(step),
        );
        if (pair === undefined) return placeOf(keyOffset);
        keyOffset = pair.key.range?.[0] ?? keyOffset;
        node = pair.value;
      } else if (isSeq<Node>(here) && typeof step === 'number') {
        const item = here.items[step];
        if (item === undefined) return placeOf(keyOffset);
        keyOffset = item.range?.[0] ?? keyOffset;
        node = item;
      } else {
        return placeOf(keyOffset);
      }
    }
    const isEmpty = isScalar(node) && node.value === null && node.source === '';
    const valueOffset = node === null || isEmpty ? undefined : node.range?.[0];
    return placeOf(at === 'key' ? keyOffset : (valueOffset ?? keyOffset));
  };
}
