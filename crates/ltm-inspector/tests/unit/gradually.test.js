import assert from 'node:assert/strict';
import { test } from 'node:test';

import { signal } from '@preact/signals';
import { gradually, step } from '../../web/list/gradually.ts';

const row = (id, n = 0) => ({ id: String(id), n });
const range = (from, to, n) => Array.from({ length: from - to + 1 }, (_, i) => row(from - i, n));
const ids = (rows) => rows.map(({ id }) => Number(id));

test('a step draws so many new or different rows, keeps those that are drawn, and drops those that are gone', () => {
  const [five, four, three, one] = [row(5), row(4), row(3), row(1)];
  const other = row(3, 1);
  assert.deepEqual(step([four, three, one], [five, four, other, row(2)], 2), [five, four, other]);
  assert.deepEqual(step([four, three, one], [five, four, other, row(2)], 1), [five, four, three]);
  assert.deepEqual(step([four], [], 1), []);
});

test('some frames after a change all rows are drawn, and none waits for as long as others change', async (t) => {
  const frames = [];
  globalThis.requestAnimationFrame = (then) => frames.push(then);
  t.after(() => delete globalThis.requestAnimationFrame);
  const frame = async () => {
    frames.splice(0).forEach((then) => then());
    await new Promise((resolve) => setTimeout(resolve));
  };
  const leaving = new AbortController();
  const rows = signal(undefined);
  const drawn = gradually(rows, leaving.signal);
  assert.equal(drawn.value, undefined);
  rows.value = range(50, 1, 0);
  assert.deepEqual(ids(drawn.value), ids(range(50, 45)), 'the first rows are drawn at once');
  for (let n = 0; n < 9; n += 1) await frame();
  assert.deepEqual(drawn.value, rows.value);

  // Every row changes before each frame.
  let least = 0;
  for (let n = 1; n <= 30; n += 1) {
    rows.value = range(50, 1, n);
    await frame();
    least = Math.min(...drawn.value.map((it) => it.n));
  }
  assert.ok(least > 10, `a row was drawn last as it was at frame ${least} of 30`);
  for (let n = 0; n < 20; n += 1) await frame();
  assert.deepEqual(drawn.value, rows.value);
  assert.equal(frames.length, 0, 'and then nothing waits for a frame');

  leaving.abort();
  rows.value = [];
  assert.equal(drawn.value.length, 50, 'a page that was left draws nothing');
});
