// A view and what a message makes of it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { PatchError } from '../dist/patch.js';
import { emptyView as unknownView, withMessage } from '../dist/view.js';

const emptyView = (id) => ({ ...unknownView(id), state: {}, cursor: '0' });
const snapshot = (n) => ({ time: `t${n}`, reason: 'execute', item: null, patch: [], execute_queue: [], transitions_queue: [] });
const follow = (view, from, to) => {
  for (let n = from; n < to; n++) {
    [view] = withMessage(view, { cursor: `${n}`, snapshot: snapshot(n) }, true);
  }
  return view;
};

/** How many elements of arrays are copied while `act` runs. */
function copied(act) {
  const { slice, [Symbol.iterator]: iterate } = Array.prototype;
  let count = 0;
  Array.prototype.slice = function (...range) {
    count += this.length;
    return slice.apply(this, range);
  };
  Array.prototype[Symbol.iterator] = function () {
    count += this.length;
    return iterate.call(this);
  };
  try {
    act();
  } finally {
    Object.assign(Array.prototype, { slice, [Symbol.iterator]: iterate });
  }
  return count;
}

test('a message costs no more after two thousand than after ten', () => {
  const short = follow(emptyView('1'), 0, 10);
  const long = follow(emptyView('1'), 0, 2000);
  const early = copied(() => follow(short, 10, 20));
  assert.equal(copied(() => follow(long, 2000, 2010)), early);
});

test('each view keeps the history that it has, also if two go on from one', () => {
  const base = follow(emptyView('1'), 0, 3);
  const one = follow(base, 3, 5);
  const other = follow(base, 7, 8);
  const times = (view) => view.snapshots.map(({ time }) => time);
  assert.deepEqual(times(base), ['t0', 't1', 't2']);
  assert.deepEqual(times(one), ['t0', 't1', 't2', 't3', 't4']);
  assert.deepEqual(times(other), ['t0', 't1', 't2', 't7']);
  assert.equal(one.snapshots, one.snapshots);
  const [same] = withMessage(one, { cursor: '9', live: true }, true);
  assert.equal(same.snapshots, one.snapshots);
  assert.deepEqual(JSON.parse(JSON.stringify({ ...other })).snapshots.length, 4);
});

test('each message does to a view what the vectors of all clients say', () => {
  const vectors = JSON.parse(readFileSync(new URL('../../../tests/data/follow/vectors.json', import.meta.url), 'utf8'));
  assert.ok(vectors.length >= 8);
  for (const { name, begin, messages, views, misfit = false } of vectors) {
    const { cursor = null, state = {}, snapshots_count = 0 } = begin ?? {};
    let view = { ...emptyView('1'), cursor, state, snapshotsCount: snapshots_count };
    const seen = [];
    const take = (message) => {
      let change;
      [view, change] = withMessage(view, message, false);
      const { cursor, state, snapshotsCount } = view;
      if (change) seen.push({ change: change.type, cursor, index: snapshotsCount - 1, state });
    };
    messages.slice(0, misfit ? -1 : undefined).forEach(take);
    if (misfit) assert.throws(() => take(messages.at(-1)), PatchError, name);
    assert.deepEqual(seen, views, name);
  }
});
