import { projectPrefix } from '../keys.ts';

/** No job bears such a name. */
const FOLDER = '_wal';

/** `<prefix>/<project>/_wal/` */
export function allWalPrefix(place: { readonly prefix: string; readonly project: string }): string {
  return `${projectPrefix(place)}${FOLDER}/`;
}

/** `<prefix>/<project>/_wal/<system identifier>/`: clusters never share a folder. */
export function walPrefix(
  place: { readonly prefix: string; readonly project: string },
  systemIdentifier: string,
): string {
  return `${allWalPrefix(place)}${systemIdentifier}/`;
}

export type WalObject =
  /** A finished segment; the key names the sha256 of the stored bytes, so that they can be proved without a key. */
  | { readonly kind: 'segment'; readonly name: string; readonly sha256: string }
  /** The beginning of a segment; replaced as it grows. */
  | { readonly kind: 'partial'; readonly name: string }
  | { readonly kind: 'history'; readonly name: string };

/** The last part of a key. */
export function walObjectName(object: WalObject, encrypted: boolean): string {
  const ending = encrypted ? '.zst.age' : '.zst';
  switch (object.kind) {
    case 'segment':
      return `${object.name}-${object.sha256}${ending}`;
    case 'partial':
      return `${object.name}.partial${ending}`;
    case 'history':
      return `${object.name}${ending}`;
  }
}

const FORMS = {
  segment: /^([0-9A-F]{24})-([0-9a-f]{64})\.zst(\.age)?$/,
  partial: /^([0-9A-F]{24})\.partial\.zst(\.age)?$/,
  history: /^([0-9A-F]{8}\.history)\.zst(\.age)?$/,
} as const;

/** Undefined for a key that is nothing of ours. */
export function parseWalName(
  text: string,
): (WalObject & { readonly encrypted: boolean }) | undefined {
  const segment = FORMS.segment.exec(text);
  if (segment?.[1] !== undefined && segment[2] !== undefined) {
    const [, name, sha256, age] = segment;
    return { kind: 'segment', name, sha256, encrypted: age !== undefined };
  }
  for (const kind of ['partial', 'history'] as const) {
    const [, name, age] = FORMS[kind].exec(text) ?? [];
    if (name !== undefined) return { kind, name, encrypted: age !== undefined };
  }
  return undefined;
}
