import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pointerAbove, pointerBelow, pointerKeys, valueAt } from '../dist/index.js';

test('a pointer leads to what RFC 6901 says', () => {
  const value = { foo: ['bar', 'baz'], '': 0, 'a/b': 1, 'c%d': 2, 'e^f': 3, 'g|h': 4, 'i\\j': 5, 'k"l': 6, ' ': 7, 'm~n': 8 };
  const cases = { '': value, '/foo': value.foo, '/foo/0': 'bar', '/': 0, '/a~1b': 1, '/c%d': 2, '/e^f': 3, '/g|h': 4, '/i\\j': 5, '/k"l': 6, '/ ': 7, '/m~0n': 8 };
  for (const [pointer, expected] of Object.entries(cases)) assert.equal(valueAt(value, pointer), expected, pointer);
  for (const pointer of ['/nothing', '/foo/2', '/foo/00', '/foo/-', '/foo/length', '/foo/0/0', '/toString', '/__proto__/x']) assert.equal(valueAt(value, pointer), undefined, pointer);
});

test('a pointer is made of keys, and parted into keys', () => {
  const keys = ['a/b', 'm~n', '~1', '', '0'];
  const pointer = keys.reduce((made, key) => pointerBelow(made, key), '');
  assert.equal(pointer, '/a~1b/m~0n/~01//0');
  assert.deepEqual(pointerKeys(pointer), keys);
  assert.equal(pointerAbove('/a/b'), '/a');
  assert.equal(pointerAbove('/a'), '');
  assert.equal(pointerAbove(''), '');
  for (const wrong of ['a', '/~', '/~2', undefined]) assert.throws(() => pointerKeys(wrong));
});
