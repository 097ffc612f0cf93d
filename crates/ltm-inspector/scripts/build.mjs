// Builds the page: assets/ has what web/ says, bundled, and each file compressed as well.
//
//   node scripts/build.mjs           writes assets/
//   node scripts/build.mjs --check   fails if assets/ is not what web/ gives, or the first load is too large

import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, brotliDecompressSync, constants, gunzipSync, gzipSync } from 'node:zlib';
import { bundle } from './bundle.mjs';

/** What a page loads before it shows anything, gzipped, at most. */
const FIRST = 65 * 1024;
/** What each part that is loaded later may have, gzipped. */
const LATER = 125 * 1024;
const KINDS = {
  '.br': [(it) => brotliCompressSync(it, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: it.length } }), brotliDecompressSync],
  '.gz': [(it) => gzipSync(it, { level: 9 }), gunzipSync],
};

const folder = fileURLToPath(new URL('../assets/', import.meta.url));
const { files, first } = await bundle();
const gzipped = (name) => gzipSync(files.get(name), { level: 9 }).length;
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;

/** What differs between the folder and the bundle. Compressed files are compared by their content: another zlib may pack otherwise. */
function differences() {
  const held = new Set(readdirSync(folder));
  const wrong = [];
  for (const [name, content] of files) {
    if (!held.delete(name) || !readFileSync(folder + name).equals(content)) wrong.push(name);
    for (const [suffix, [, unpack]] of Object.entries(KINDS)) {
      if (!held.delete(name + suffix) || !unpack(readFileSync(folder + name + suffix)).equals(content)) wrong.push(name + suffix);
    }
  }
  return [...wrong, ...held];
}

function write() {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const [name, content] of files) {
    writeFileSync(folder + name, content);
    for (const [suffix, [pack]] of Object.entries(KINDS)) writeFileSync(folder + name + suffix, pack(content));
  }
}

const failures = [];
if (process.argv.includes('--check')) {
  const wrong = differences();
  if (wrong.length) failures.push(`assets/ is not what web/ gives (${wrong.join(', ')}): run node scripts/build.mjs`);
} else write();

const total = first.reduce((sum, name) => sum + gzipped(name), 0);
console.log(`first load: ${first.join(', ')}: ${kib(total)} gzipped, of ${kib(FIRST)}`);
if (total > FIRST) failures.push('the first load is too large');
for (const name of files.keys()) {
  if (!name.endsWith('.js') || first.includes(name)) continue;
  console.log(`later: ${name}: ${kib(gzipped(name))} gzipped`);
  if (gzipped(name) > LATER) failures.push(`${name} is too large`);
}
for (const failure of failures) console.error(failure);
process.exitCode = failures.length ? 1 : 0;
