// Compares ways to apply a JSON Patch: how large they are, how right, what they share, and how fast they are.
// The figures are in the README.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const ways = {
  'our own': `import { applyPatch } from './dist/patch.js'; export const apply = applyPatch;`,
  'immutable-json-patch': `import { immutableJSONPatch } from 'immutable-json-patch'; export const apply = (doc, patch) => immutableJSONPatch(doc, patch);`,
  'fast-json-patch, in place': `import { applyPatch } from 'fast-json-patch'; export const apply = (doc, patch) => applyPatch(doc, patch, true).newDocument;`,
  'fast-json-patch, on a copy': `import { applyPatch } from 'fast-json-patch'; export const apply = (doc, patch) => applyPatch(doc, patch, true, false).newDocument;`,
  'fast-json-patch in mutative': `
    import { create } from 'mutative'; import { applyPatch } from 'fast-json-patch';
    export const apply = (doc, patch) => create({ doc }, (draft) => void (draft.doc = applyPatch(draft.doc, patch, true).newDocument)).doc;`,
  'rfc6902, in place': `
    import { applyPatch } from 'rfc6902';
    export const apply = (doc, patch) => {
      const error = applyPatch(doc, patch).find((error) => error);
      if (error) throw error;
      return doc;
    };`,
};

const resolveDir = fileURLToPath(new URL('..', import.meta.url));
const suite = ['spec_tests.json', 'tests.json'].flatMap((name) =>
  JSON.parse(readFileSync(new URL(`../../../tests/data/json-patch-suite/${name}`, import.meta.url), 'utf8')),
);
const cases = suite.filter(({ patch, disabled }) => patch && !disabled);

console.log('| way | gzipped | suite | takes a wrong patch | changes what it was given | shares what stays | 200 patches |');
console.log('| --- | --- | --- | --- | --- | --- | --- |');
for (const [name, contents] of Object.entries(ways)) {
  const folder = mkdtempSync(`${resolveDir}/dist/compare-`);
  const outfile = `${folder}/way.mjs`;
  await build({ stdin: { contents, resolveDir }, bundle: true, minify: true, format: 'esm', target: 'es2022', outfile });
  const bytes = gzipSync(readFileSync(outfile), { level: 9 }).length;
  const { apply } = await import(outfile);
  rmSync(folder, { recursive: true });
  const verdicts = cases.map((each) => verdict(apply, structuredClone(each)));
  const count = (wanted) => verdicts.filter((each) => each === wanted).length;
  const [changes, shares] = sharing(apply);
  const yes = (is) => (is ? 'yes' : 'no');
  console.log(
    `| ${name} | ${bytes} B | ${count('right')} of ${cases.length} | ${count('taken')} | ${yes(changes)} | ${yes(shares)} | ${time(apply)} ms |`,
  );
}

function verdict(apply, { doc, patch, expected, error }) {
  let result;
  try {
    result = apply(doc, patch);
  } catch {
    return error ? 'right' : 'wrong';
  }
  if (error) return 'taken';
  return expected === undefined || isDeepStrictEqual(result, expected) ? 'right' : 'wrong';
}

function sharing(apply) {
  const before = { a: { b: 1 }, c: { d: 2 }, list: [{ x: 1 }] };
  const { c, list } = before;
  const [item] = list;
  const after = apply(before, [{ op: 'replace', path: '/a/b', value: 2 }, { op: 'add', path: '/list/0', value: 0 }]);
  return [before.a.b !== 1, after !== before && after.c === c && after.list !== list && after.list[1] === item];
}

/** The best of some runs, because other programs run, too. */
function time(apply) {
  return Math.min(...Array.from({ length: 7 }, () => run(apply))).toFixed(1);
}

/** Small changes of a list of 20,000 objects. */
function run(apply) {
  let state = { list: Array.from({ length: 20_000 }, (_, n) => ({ n, text: 'x' })), more: {} };
  const begun = performance.now();
  for (let n = 0; n < 200; n++) {
    state = apply(state, [
      { op: 'replace', path: `/list/${n}/text`, value: `y${n}` },
      { op: 'add', path: `/more/k${n}`, value: n },
    ]);
  }
  return performance.now() - begun;
}
