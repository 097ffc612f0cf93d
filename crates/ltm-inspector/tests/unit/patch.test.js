import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

import { Draft } from '../../web/data/patch.js';

const data = new URL('../../../../tests/data/', import.meta.url);
const read = (name) => JSON.parse(readFileSync(new URL(name, data), 'utf8'));

test('the cases of the public suite that succeed do so here', () => {
  const cases = [...read('json-patch-suite/tests.json'), ...read('json-patch-suite/spec_tests.json')];
  const good = cases.filter((it) => !it.disabled && it.patch && 'expected' in it);
  assert.ok(good.length > 60);
  for (const { doc, patch, expected, comment } of good) {
    const before = JSON.stringify(doc);
    assert.deepEqual(new Draft(doc).apply(patch).value, expected, comment);
    assert.equal(JSON.stringify(doc), before, 'what a patch is applied to stays as it is');
  }
});

test('every recorded history folds to its state', () => {
  for (const name of readdirSync(data).filter((it) => it.endsWith('.json'))) {
    const { document } = read(name).documents.at(-1);
    const draft = new Draft({});
    for (const { patch } of document.snapshots) draft.apply(patch);
    assert.deepEqual(draft.value, document.state, name);
  }
});

test('what a patch does not touch stays the same object', () => {
  const before = { a: { b: [1] }, c: { d: 1 } };
  const after = new Draft(before).apply([{ op: 'replace', path: '/c/d', value: 2 }]).value;
  assert.equal(after.a, before.a);
  assert.notEqual(after.c, before.c);
});

test('a value that was copied is two values', () => {
  const draft = new Draft({ a: [1] });
  draft.apply([{ op: 'add', path: '/a/-', value: 2 }, { op: 'copy', from: '/a', path: '/b' }, { op: 'add', path: '/a/-', value: 3 }]);
  assert.deepEqual(draft.value, { a: [1, 2, 3], b: [1, 2] });
});

test('__proto__ is a key like any other', () => {
  const patch = JSON.parse('[{"op":"add","path":"/__proto__","value":{"x":1}},{"op":"add","path":"/__proto__/y","value":2}]');
  const after = new Draft({}).apply(patch).value;
  assert.equal(JSON.stringify(after), '{"__proto__":{"x":1,"y":2}}');
  assert.equal({}.x, undefined);
});

test('a patch that does not fit is an error', () => {
  assert.throws(() => new Draft({}).apply([{ op: 'add', path: '/a/b', value: 1 }]));
});
