import assert from 'node:assert/strict';
import { test } from 'node:test';

import { digitsOf, mark, stringify } from '../../web/wire/digits.js';

test('numbers that a double cannot hold keep their digits, and come out as they went in', () => {
  for (const number of ['9007199254740993', '-9007199254740993', '123456789012345678901234567890', '0.12345678901234567890', '1e400', '1.0000000000000000001', '18446744073709551615']) {
    const text = `{"a":[${number}],"b":${number}}`;
    const value = JSON.parse(mark(text));
    assert.equal(digitsOf(value.b), number);
    assert.equal(stringify(value), text);
  }
});

test('other numbers stay numbers, and texts texts', () => {
  const text = JSON.stringify({ a: 9007199254740991, b: 0.1, c: 1e21, d: 1e-300, e: 'x: 9007199254740993, [9007199254740993', f: '\\"', g: [1.5, -0, 1e300], h: 1e23 });
  assert.deepEqual(JSON.parse(mark(text)), JSON.parse(text));
  assert.deepEqual(JSON.parse(mark(`[1,9007199254740993,${text}]`))[2], JSON.parse(text));
  assert.equal(JSON.parse(mark('[1.50000000000000000000]'))[0], 1.5);
  assert.equal(JSON.parse(mark('[100000000000000000000000]'))[0], 1e23);
  assert.equal(digitsOf('9007199254740993'), undefined);
});
