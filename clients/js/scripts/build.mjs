// Builds dist/: modules and types by tsc, and the core as one minified file.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
rmSync(`${root}/dist`, { recursive: true, force: true });
execFileSync(`${root}/node_modules/.bin/tsc`, ['--project', root], { stdio: 'inherit' });
await build({
  entryPoints: [`${root}/dist/index.js`],
  outfile: `${root}/dist/ltm-live.min.js`,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
});
