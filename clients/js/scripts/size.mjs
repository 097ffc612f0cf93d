// Prints how many bytes the minified core has, gzipped; more than it may have is an error.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

export const LIMIT = 6.5 * 1024;

export function size(file = 'ltm-live.min.js') {
  return gzipSync(readFileSync(new URL(`../dist/${file}`, import.meta.url)), { level: 9 }).length;
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const bytes = size();
  console.log(`dist/ltm-live.min.js: ${bytes} bytes gzipped, of ${LIMIT}`);
  process.exitCode = bytes > LIMIT ? 1 : 0;
}
