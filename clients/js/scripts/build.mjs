// Builds dist/: modules and types by tsc, and two minified files for pages without a build: the core, and all.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
rmSync(`${root}/dist`, { recursive: true, force: true });
execFileSync(`${root}/node_modules/.bin/tsc`, ['--project', root], { stdio: 'inherit' });
// Names of members that nobody outside sees, and no message has.
const hidden =
  /^(answered|answers|open|query|names|apply|ask|askWhy|behind|caller|channel|cleared|connection|ears|emit|ended|failed|failures|feeds|finish|followed|forget|heard|leaving|left|listeners|missed|opened|options|over|own|owned|parent|base|prepare|queue|refused|reload|root|run|server|session|shown|since|sockets|stale|stop|take|target|targets|tell|url|waiting|write)$/;
const files = { 'core.js': 'ltm-live.min.js', 'index.js': 'ltm-live.all.min.js' };
for (const [from, to] of Object.entries(files)) {
  await build({
    entryPoints: [`${root}/dist/${from}`],
    outfile: `${root}/dist/${to}`,
    bundle: true,
    minify: true,
    // A map beside the file, and no line in it that a page without the map would ask for.
    sourcemap: 'external',
    format: 'esm',
    target: 'es2022',
    mangleProps: hidden,
  });
}
