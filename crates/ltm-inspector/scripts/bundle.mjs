// Bundles the sources in web/: gives the files that the page loads, by name.

import { readFileSync, readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const path = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));

/** What both the page and the unit tests read in place of a package: the client is in this repository. */
export const ALIAS = { 'ltm-live': path('../../clients/js/src/index.ts') };

/** The chunks that a view loads only when it is shown have a hash in their names: a page never gets one of another version. */
export async function bundle() {
  const { outputFiles, metafile } = await build({
    absWorkingDir: path(''),
    entryPoints: { main: 'web/app/main.js', style: 'web/style.css' },
    outdir: path('assets'),
    chunkNames: '[name]-[hash]',
    alias: ALIAS,
    bundle: true,
    splitting: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    legalComments: 'none',
    charset: 'utf8',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    metafile: true,
    write: false,
    logLevel: 'warning',
  });
  const files = new Map(outputFiles.map((it) => [basename(it.path), Buffer.from(it.contents)]));
  files.set('index.html', Buffer.from(page(first(metafile))));
  files.set('favicon.svg', readFileSync(path('web/favicon.svg')));
  files.set('licences.txt', Buffer.from(licences(metafile)));
  return { files, first: first(metafile) };
}

/** The page; it asks for the chunks of the first load at once, not one after the other. */
function page(names) {
  const chunks = names.filter((name) => name !== 'main.js' && name.endsWith('.js'));
  const links = chunks.map((name) => `  <link rel="modulepreload" href="inspector/${name}">\n`).join('');
  return readFileSync(path('web/index.html'), 'utf8').replace('  <script', `${links}  <script`);
}

/** The files of the first load: the entry, what it imports at once, and the style. */
function first({ outputs }) {
  const names = new Set();
  const add = (output) => {
    if (names.has(basename(output))) return;
    names.add(basename(output));
    for (const { path: next, kind } of outputs[output].imports) if (kind === 'import-statement') add(next);
  };
  for (const [output, { entryPoint }] of Object.entries(outputs)) if (/^web\/(app\/main\.js|style\.css)$/.test(entryPoint ?? '')) add(output);
  return [...names];
}

/** The licences of the packages in the bundle, which ask to go with each copy. */
function licences({ outputs }) {
  const inputs = Object.values(outputs).flatMap((it) => Object.keys(it.inputs));
  const packages = inputs.map((it) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(it)?.[1]).filter(Boolean);
  return [...new Set(packages)].sort().map((name) => {
    const folder = path(`node_modules/${name}/`);
    const { version, license, author } = JSON.parse(readFileSync(`${folder}package.json`, 'utf8'));
    const file = readdirSync(folder).find((it) => /^LICENSE/i.test(it));
    const text = file ? readFileSync(folder + file, 'utf8').trim() : `Copyright ${author?.name ?? author}. The package has no other text.`;
    return `${name} ${version} (${license})\n\n${text}\n`;
  }).join(`\n${'-'.repeat(72)}\n\n`) || 'The page has no code of other projects.\n';
}
