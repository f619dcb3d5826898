/** Folders with the answers of one host each, where nginx may write; no backup has them: the origin does. */
export const CACHE_PREFIX = 'edge-cache-';
