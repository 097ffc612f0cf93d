// Makes the API reference of docstrings, one module for each entry of the package: reference/out/index.html. It fails if a
// public symbol has no docstring, or a link leads nowhere.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application } from 'typedoc';

const client = fileURLToPath(new URL('..', import.meta.url));
const { exports, version } = JSON.parse(readFileSync(`${client}/package.json`, 'utf8'));
// Two entries may have the same types: the minified files.
const entries = new Map();
for (const [entry, { types }] of Object.entries(exports)) {
  if (types && !entries.has(types)) entries.set(types, entry.replace(/^\./, 'ltm-live'));
}
entries.delete('./dist/core.d.ts');

const source = (types) => types.replace('dist', 'src').replace('.d.ts', '.ts');
const app = await Application.bootstrap({
  name: `ltm-live ${version} for JavaScript`,
  entryPoints: [...entries.keys()].map((types) => join(client, source(types))),
  tsconfig: `${client}/tsconfig.json`,
  out: `${client}/reference/out`,
  readme: 'none',
  disableSources: true,
  excludePrivate: true,
  excludeInternal: true,
  githubPages: false,
  hideGenerator: true,
  validation: { notExported: false, invalidLink: true, notDocumented: true },
  requiredToBeDocumented: ['Class', 'Interface', 'TypeAlias', 'Function', 'Variable', 'Method', 'Accessor', 'Constructor'],
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
});
const project = await app.convert();
if (project) {
  for (const [types, entry] of entries) {
    const module = project.children?.find(({ name }) => [`./src/${name}.ts`, `./src/${name}/index.ts`].includes(source(types)));
    if (module) module.name = entry;
  }
  app.validate(project);
  await app.generateOutputs(project);
}
if (!project || app.logger.hasErrors() || app.logger.hasWarnings()) process.exitCode = 1;
