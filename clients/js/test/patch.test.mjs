// What holds for applying a patch: it is right, it changes nothing in place, and it shares what it does not touch.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import jsonpatch from 'fast-json-patch';
import { applyPatch, PatchError } from '../dist/index.js';
import { share } from '../dist/json.js';

// The same cases in each run, unless a seed is given: a failure is then the change's.
fc.configureGlobal({ seed: Number(process.env.LTM_TEST_SEED ?? 1) });

const suite = ['spec_tests.json', 'tests.json'].flatMap((name) =>
  JSON.parse(readFileSync(new URL(`../../../tests/data/json-patch-suite/${name}`, import.meta.url), 'utf8')),
);

test('the public suite passes', () => {
  let count = 0;
  for (const { doc, patch, expected, error, disabled, comment } of suite) {
    if (disabled || !patch) continue;
    count++;
    const said = JSON.stringify({ comment, doc, patch });
    freeze(doc);
    freeze(patch);
    if (error) {
      assert.throws(() => applyPatch(doc, patch), PatchError, said);
    } else {
      const result = applyPatch(doc, patch);
      if (expected !== undefined) assert.deepEqual(result, expected, said);
    }
  }
  assert.ok(count > 90, `only ${count} cases`);
});

/** Few keys, so that documents and patches meet; some that objects inherit, and some that pointers escape. */
const key = fc.constantFrom('a', 'b', 'c', '', '0', '1', '~', '/', 'é', 'toString', 'constructor', '__proto__', 'length');
const { value: json } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false, 0, 1, -1.5, '', 'x', 'y'),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map((pairs) => {
      const text = pairs.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
      return JSON.parse(`{${text.join(',')}}`);
    }),
  ),
}));
const index = fc.constantFrom('0', '1', '2', '3', '-', '-1', '9', 'x');
const pointer = fc
  .array(fc.oneof(key, index), { maxLength: 4 })
  .map((keys) => keys.map((name) => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''));
const operation = fc.oneof(
  fc.record({ op: fc.constantFrom('add', 'replace', 'test'), path: pointer, value: json }),
  fc.record({ op: fc.constant('remove'), path: pointer }),
  fc.record({ op: fc.constantFrom('move', 'copy'), from: pointer, path: pointer }),
);
const patch = fc.array(operation, { maxLength: 4 });
const somePatch = fc.array(operation, { minLength: 1, maxLength: 4 });
const runs = { numRuns: 3000 };

/** By the letter of RFC 6902, on a copy and without a thought for speed. */
function reference(document, operations) {
  let root = structuredCloneOf(document);
  const at = (keys) => keys.reduce((value, name) => step(value, name), root);
  const step = (value, name) => {
    if (Array.isArray(value) ? /^(0|[1-9][0-9]*)$/.test(name) && Number(name) < value.length : value !== null && typeof value === 'object' && Object.hasOwn(value, name)) {
      return Object.getOwnPropertyDescriptor(value, name).value;
    }
    throw new Error('nothing is there');
  };
  const set = (object, name, value) => Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
  const split = (text) => text.split('/').slice(1).map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
  const remove = (keys) => {
    const removed = at(keys);
    if (!keys.length) return (root = null), removed;
    const holder = at(keys.slice(0, -1));
    Array.isArray(holder) ? holder.splice(Number(keys.at(-1)), 1) : delete holder[keys.at(-1)];
    return removed;
  };
  const add = (keys, value) => {
    if (!keys.length) return void (root = value);
    const holder = at(keys.slice(0, -1));
    const name = keys.at(-1);
    if (Array.isArray(holder)) {
      if (name !== '-' && !(/^(0|[1-9][0-9]*)$/.test(name) && Number(name) <= holder.length)) throw new Error('no index');
      holder.splice(name === '-' ? holder.length : Number(name), 0, value);
    } else if (holder !== null && typeof holder === 'object') {
      set(holder, name, value);
    } else {
      throw new Error('no container');
    }
  };
  for (const { op, path, from, value } of structuredCloneOf(operations)) {
    const keys = split(path);
    if (op === 'add') add(keys, value);
    else if (op === 'remove') remove(keys);
    else if (op === 'replace') (at(keys), keys.length ? (set(at(keys.slice(0, -1)), keys.at(-1), value)) : (root = value));
    else if (op === 'copy') add(keys, structuredCloneOf(at(split(from))));
    else if (op === 'test') assert.deepStrictEqual(at(keys), value);
    else if (path.startsWith(`${from}/`)) throw new Error('into itself');
    else if (path === from) at(keys);
    else add(keys, remove(split(from)));
  }
  return root;
}

const structuredCloneOf = (value) => JSON.parse(JSON.stringify(value));

function freeze(value) {
  if (typeof value === 'object' && value !== null) {
    Object.freeze(value);
    Reflect.ownKeys(value).forEach((name) => freeze(Object.getOwnPropertyDescriptor(value, name).value));
  }
  return value;
}

function attempt(act) {
  try {
    return { result: act() };
  } catch {
    return 'refused';
  }
}

test('any patch does to any document what the RFC says, or is refused, and changes neither', () => {
  fc.assert(
    fc.property(json, patch, (document, operations) => {
      const expected = attempt(() => reference(document, operations));
      freeze(document);
      freeze(operations);
      assert.deepEqual(attempt(() => applyPatch(document, operations)), expected);
    }),
    runs,
  );
});

test('patches do one after the other what they do in fast-json-patch', () => {
  // It takes some patches that the RFC refuses, and has keys of its own that it does not take.
  const common = (text) => !/__proto__|constructor|toString|length|"-1"|\/-1|\/x|\/9|~/.test(text);
  fc.assert(
    fc.property(json, somePatch, (document, operations) => {
      fc.pre(common(JSON.stringify([document, operations])));
      fc.pre(attempt(() => reference(document, operations)) !== 'refused');
      const copy = structuredCloneOf(document);
      const expected = attempt(() => jsonpatch.applyPatch(copy, structuredCloneOf(operations), true).newDocument);
      assert.deepEqual(attempt(() => applyPatch(document, operations)), { result: structuredCloneOf(expected.result) });
    }),
    { numRuns: 300, maxSkipsPerRun: 1000 },
  );
});

test('a patch from one document to another leads there, and shares all that it does not name', () => {
  const object = json.filter((value) => typeof value === 'object' && value !== null && !Array.isArray(value));
  const plain = object.filter((value) => !JSON.stringify(value).includes('__proto__'));
  fc.assert(
    fc.property(plain, plain, (from, to) => {
      const operations = jsonpatch.compare(from, to);
      freeze(from);
      const result = applyPatch(from, operations);
      assert.deepEqual(result, to);
      const paths = operations.map(({ path }) => path);
      checkShared(from, result, '', paths);
    }),
    runs,
  );
});

function checkShared(before, after, path, paths) {
  if (typeof after !== 'object' || after === null) return;
  if (!paths.some((named) => named === path || named.startsWith(`${path}/`))) {
    // What an operation gave as a whole is new; everything else is the same.
    if (!paths.some((named) => path.startsWith(`${named}/`))) assert.equal(after, before, path);
    return;
  }
  // Indices move within arrays.
  if (Array.isArray(after) || Array.isArray(before) || typeof before !== 'object' || before === null) return;
  for (const name of Object.keys(after)) {
    if (Object.hasOwn(before, name)) {
      checkShared(before[name], after[name], `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`, paths);
    }
  }
}

test('what moves stays the same object, and so do its neighbours', () => {
  const before = freeze({ list: [{ a: 1 }, { b: 2 }], deep: { one: { x: [1] }, two: { y: [2] } } });
  const after = applyPatch(before, [
    { op: 'move', from: '/list/0', path: '/first' },
    { op: 'replace', path: '/deep/one/x/0', value: 7 },
    { op: 'copy', from: '/deep/two', path: '/three' },
  ]);
  assert.equal(after.first, before.list[0]);
  assert.equal(after.list[0], before.list[1]);
  assert.equal(after.deep.two, before.deep.two);
  assert.equal(after.three, before.deep.two);
  assert.deepEqual(after.deep.one, { x: [7] });
});

test('what was given as a value is not changed by what comes later in the patch', () => {
  const operations = freeze([
    { op: 'add', path: '/a', value: { n: 1 } },
    { op: 'copy', from: '/a', path: '/b' },
    { op: 'replace', path: '/a/n', value: 2 },
    { op: 'copy', from: '/a', path: '/c' },
    { op: 'replace', path: '/a/n', value: 3 },
    { op: 'add', path: '/c/more', value: [] },
  ]);
  assert.deepEqual(applyPatch({}, operations), { a: { n: 3 }, b: { n: 1 }, c: { n: 2, more: [] } });
});

test('a key is only a key, whatever objects inherit', () => {
  const after = applyPatch({}, JSON.parse('[{"op":"add","path":"/__proto__","value":{"polluted":true}}]'));
  assert.deepEqual(Object.keys(after), ['__proto__']);
  assert.equal(Object.getPrototypeOf(after), Object.prototype);
  assert.equal({}.polluted, undefined);
  assert.throws(() => applyPatch({}, [{ op: 'replace', path: '/toString', value: 1 }]), PatchError);
});

test('a refusal names its operation', () => {
  const bad = [{ op: 'add', path: '/a', value: 1 }, { op: 'remove', path: '/b' }];
  assert.throws(() => applyPatch({}, bad), (error) => error instanceof PatchError && error.operation === 1);
});

test('what is fetched again shares all that is equal with what was there', () => {
  fc.assert(
    fc.property(json, json, (old, next) => {
      freeze(old);
      freeze(next);
      assert.deepEqual(share(old, next), next);
      const copy = structuredCloneOf(old);
      assert.equal(share(old, copy), old);
      const [whole, kept] = [[old, 1], share([old, 1], [copy, 2])];
      assert.equal(kept[0], whole[0]);
    }),
    runs,
  );
});
