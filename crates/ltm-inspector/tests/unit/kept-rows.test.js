import assert from 'node:assert/strict';
import { test } from 'node:test';

import { KeptRows } from '../../web/ltm/waterfall/kept-rows.ts';

/** Draws rows `from` to `to`; each node tells its index and picture. */
function drawer() {
  const kept = new KeptRows();
  const drawn = [];
  const draw = (picture, { from = 0, to = 20, place = () => ['here'] } = {}) => {
    drawn.length = 0;
    return kept.draw({ from, to, picture, place, draw: (index) => {
      drawn.push(index);
      return { index, picture };
    } });
  };
  return { draw, drawn };
}

/** Draws until no row is behind; returns how many rows each call drew. */
function settle(draw, drawn, picture, more) {
  const counts = [];
  let it;
  do {
    it = draw(picture, more);
    counts.push(drawn.length);
  } while (it.behind);
  return { counts, it };
}

test('rows are drawn, and drawn again with a newer picture, some in each call, until none is behind', () => {
  const { draw, drawn } = drawer();
  const [first, second] = [{}, {}];
  assert.deepEqual(settle(draw, drawn, first).counts, [10, 10]);
  const { counts, it } = settle(draw, drawn, second);
  assert.deepEqual(counts, [6, 6, 6, 2]);
  assert.deepEqual(it.nodes, Array.from({ length: 20 }, (_, index) => ({ index, picture: second })));
  draw(second);
  assert.deepEqual(drawn, [], 'nothing is drawn twice');
});

test('no row waits for as long as the picture changes', () => {
  const { draw, drawn } = drawer();
  const pictures = Array.from({ length: 30 }, (_, n) => ({ n }));
  settle(draw, drawn, pictures[0]);
  for (const picture of pictures) {
    const { nodes } = draw(picture);
    assert.ok(nodes.every((it) => it.picture.n >= picture.n - 3), `${picture.n}`);
  }
});

test('a row that has another place is drawn at once', () => {
  const { draw, drawn } = drawer();
  const [first, second] = [{}, {}];
  settle(draw, drawn, first);
  const moved = draw(second, { place: (index) => (index >= 5 ? ['moved'] : ['here']) });
  assert.ok(moved.nodes.slice(5).every((it) => it.picture === second));
});

test('rows that come into view are drawn in their order', () => {
  const { draw, drawn } = drawer();
  const picture = {};
  settle(draw, drawn, picture);
  const { it, counts } = settle(draw, drawn, picture, { from: 5, to: 40 });
  assert.deepEqual(counts, [10, 10]);
  assert.deepEqual(it.nodes.map(({ index }) => index), Array.from({ length: 35 }, (_, nth) => 5 + nth));
});
