// What typescript.mjs registers.

import { readFile } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { transform } from 'esbuild';
import { ALIAS } from './bundle.mjs';

/** A module of TypeScript is imported by the name that it has once it is built. */
const SOURCES = [['.js', '.ts'], ['.js', '.tsx']];

export async function resolve(specifier, context, next) {
  if (Object.hasOwn(ALIAS, specifier)) return { url: pathToFileURL(ALIAS[specifier]).href, format: 'module', shortCircuit: true };
  try {
    return await next(specifier, context);
  } catch (error) {
    for (const [built, source] of SOURCES) {
      if (!specifier.endsWith(built)) continue;
      try {
        return { ...(await next(specifier.slice(0, -built.length) + source, context)), format: 'module' };
      } catch {
        // The error of the name itself says more.
      }
    }
    throw error;
  }
}

export async function load(url, context, next) {
  const loader = /\.(tsx?)$/.exec(url)?.[1];
  if (!loader) return next(url, context);
  const text = await readFile(fileURLToPath(url), 'utf8');
  const { code } = await transform(text, { loader, format: 'esm', target: 'es2022', jsx: 'automatic', jsxImportSource: 'preact', sourcemap: 'inline', sourcefile: fileURLToPath(url) });
  return { format: 'module', source: code, shortCircuit: true };
}
