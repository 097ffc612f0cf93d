import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMIT, size } from '../scripts/size.mjs';

test('the core is small', () => {
  assert.ok(size() <= LIMIT, `${size()} bytes gzipped, of ${LIMIT}`);
});
