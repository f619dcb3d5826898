import type { ErrorCode, YAMLError } from 'yaml';

/** Our own words: the library's repeat the source text, which may be a secret. */
const SENTENCES: Readonly<Record<ErrorCode, string>> = {
  ALIAS_PROPS: 'an alias (*name) cannot have an anchor or a tag',
  BAD_ALIAS: 'an alias or anchor (*name, &name) has a name that is not allowed',
  BAD_COLLECTION_TYPE: 'a tag does not fit the value behind it',
  BAD_DIRECTIVE: 'a line that starts with % is a directive, and this one is not known',
  BAD_DQ_ESCAPE:
    'an escape in double quotes is not known: write \\\\ for a backslash, or use single quotes',
  BAD_INDENT: 'is not indented like the lines around it, or a bracket is not closed',
  BAD_PROP_ORDER: 'an anchor or a tag stands in the wrong place',
  BAD_SCALAR_START: 'a value that starts with this character needs quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a mapping cannot start here: put the value in quotes if it holds a colon',
  BLOCK_IN_FLOW: 'a block cannot stand within [ ] or { }',
  DUPLICATE_KEY: 'the key is there twice',
  IMPOSSIBLE: 'is not valid YAML',
  KEY_OVER_1024_CHARS: 'the key is too long: is a quote not closed?',
  MISSING_CHAR: 'a quote, bracket, comma or colon is missing before this place',
  MULTILINE_IMPLICIT_KEY: 'a key cannot go over several lines: is a colon or a quote missing?',
  MULTIPLE_ANCHORS: 'a value can have one anchor only',
  MULTIPLE_DOCS: 'a second document starts here: a config is one document',
  MULTIPLE_TAGS: 'a value can have one tag only',
  NON_STRING_KEY: 'a key has to be text',
  RESOURCE_EXHAUSTION: 'is nested too deeply',
  TAB_AS_INDENT: 'a tab cannot indent: use blanks',
  TAG_RESOLVE_FAILED: 'the tag (!name) is not known here: leave it out',
  UNEXPECTED_TOKEN:
    'did not expect this here: is a quote missing, or is the line not indented right?',
};

const ANY: Readonly<Record<string, string>> = SENTENCES;

export function explainYamlError(mistake: YAMLError): string {
  return ANY[mistake.code] ?? 'is not valid YAML';
}
