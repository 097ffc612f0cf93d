import assert from 'node:assert/strict';
import { test } from 'node:test';

import { differences } from '../../web/ltm/compare/differences.js';

const short = (was, is) => differences(was, is).found.map((it) => [it.pointer, it.was, it.is]);

test('values that were added, removed or changed are named by their pointers, the others are not', () => {
  const was = { same: { a: [1, { b: 2 }] }, gone: 1, changed: 'x', deep: { list: [{ n: 1 }, { n: 2 }], 'a/b': null } };
  const is = { same: { a: [1, { b: 2 }] }, changed: 'y', deep: { list: [{ n: 1 }, { n: 3 }], 'a/b': {} }, come: [] };
  assert.deepEqual(short(was, is), [['/changed', 'x', 'y'], ['/deep/list/1/n', 2, 3], ['/deep/a~1b', null, {}], ['/come', undefined, []], ['/gone', 1, undefined]]);
  assert.deepEqual(short(was, structuredClone(was)), []);
  assert.deepEqual(short([], {}), [['', [], {}]]);
});

test('an entry put into a list, or taken out, is one difference', () => {
  const list = Array.from({ length: 50 }, (_, n) => ({ n }));
  const put = structuredClone(list).toSpliced(20, 0, { n: 'new' });
  assert.deepEqual(short({ list }, { list: put }), [['/list/20', undefined, { n: 'new' }]]);
  assert.deepEqual(short({ list: put }, { list }), [['/list/20', { n: 'new' }, undefined]]);
});

test('of very many differences the first ones are shown', () => {
  const { found, more } = differences({}, Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`k${n}`, n])));
  assert.deepEqual([found.length, more], [2000, true]);
});
