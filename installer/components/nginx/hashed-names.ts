/** Folders that bundlers fill with nothing but names of their own. */
const BUNDLED = '(?:_next/static|_nuxt|_astro|_app/immutable|static/(?:js|css|media))/';

/** What pages run and look like: an old one is never a wrong one, and pages that are open may still ask for it. */
const CODE = '(?:m?js|css|wasm|map|woff2?|ttf|otf|eot)';

/** Dates and sizes. */
const NO_NUMBER = '(?!(?:[0-9_-]+|[0-9]+[Xx][0-9]+)\\.)';
const NO_WORD = '(?![\\w-]*[a-z]{4})';
const LENGTH = '(?:[\\w-]{8}|\\w{9,64})';

/** Beside files of other kinds: DkT3x9Qa of Vite and Rollup, which call that folder so. Nobody else's scripts lie there. */
const IN_ASSETS = `${NO_NUMBER}(?:(?=[\\w-]*\\.${CODE}$)|${NO_WORD})(?=[\\w-]*[0-9A-Z])${LENGTH}`;
const HEXADECIMAL = '(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,64}';
const MIXED = `${NO_WORD}(?=[\\w-]*[0-9][A-Za-z_-])(?=[\\w-]*[A-Z])(?=[\\w-]*[a-z])${LENGTH}`;
/** Of esbuild, and so of Angular, which puts such files beside its page. */
const BASE32 = `[A-Z2-7]{8}(?=\\.${CODE}$)`;

/**
 * Paths whose content never changes, such as /assets/index-DkT3x9Qa.js and /main.0a1b2c3d.css: in a folder of a bundler,
 * or with a hash before the ending. A size, a date or a word that was taken for a hash would be kept for a year.
 */
export const HASHED_PATH = `^/(?:${BUNDLED}|(?:assets/.*[.-]${IN_ASSETS}|(?:.*[.-])(?:${HEXADECIMAL}|${MIXED}|${BASE32}))\\.[A-Za-z0-9]+$)`;

export const CODE_PATH = `\\.${CODE}$`;
