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

test('rows with an older picture are drawn again, some in each call, until none is behind', () => {
  const { draw, drawn } = drawer();
  const [first, second] = [{}, {}];
  assert.equal(draw(first).behind, false);
  assert.equal(drawn.length, 20, 'rows that are not there yet are drawn at once');
  const counts = [];
  let it;
  do counts.push(((it = draw(second)), drawn.length)); while (it.behind);
  assert.deepEqual(counts, [6, 6, 6, 2]);
  assert.deepEqual(it.nodes, Array.from({ length: 20 }, (_, index) => ({ index, picture: second })));
  draw(second);
  assert.deepEqual(drawn, [], 'nothing is drawn twice');
});

test('no row waits for as long as the picture changes', () => {
  const { draw } = drawer();
  const pictures = Array.from({ length: 30 }, (_, n) => ({ n }));
  for (const picture of pictures) {
    const { nodes } = draw(picture);
    assert.ok(nodes.every((it) => it.picture.n >= picture.n - 3), `${picture.n}`);
  }
});

test('a row that has another place, or that comes into view, is drawn at once', () => {
  const { draw } = drawer();
  const [first, second] = [{}, {}];
  draw(first);
  const moved = draw(second, { place: (index) => (index >= 10 ? ['moved'] : ['here']) });
  assert.ok(moved.nodes.slice(10).every((it) => it.picture === second));
  assert.ok(moved.behind);
  const { nodes } = draw(second, { from: 5, to: 40 });
  assert.deepEqual(nodes.map(({ index }) => index), Array.from({ length: 35 }, (_, nth) => 5 + nth));
  assert.ok(nodes.slice(15).every((it) => it.picture === second));
});
