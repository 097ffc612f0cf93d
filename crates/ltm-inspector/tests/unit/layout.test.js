import assert from 'node:assert/strict';
import { test } from 'node:test';

import { layered } from '../../web/graph/layout.js';
import { machineOf, walk } from '../../web/graph/machine.js';

const node = (id) => ({ id, w: 100, h: 30 });

function overlaps(a, b) {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

test('no node or label covers another, whatever the graph', () => {
  let seed = 7;
  const random = (n) => (seed = (seed * 48_271) % 2_147_483_647) % n;
  for (let round = 0; round < 60; round += 1) {
    const ids = Array.from({ length: 2 + random(9) }, (_, i) => `n${i}`);
    const edges = Array.from({ length: random(16) }, () => ({ from: ids[random(ids.length)], to: ids[random(ids.length)], w: 60, h: 16 }));
    for (const sideways of [false, true]) {
      const placed = layered(ids.map(node), edges, [ids[0]], sideways);
      const boxes = ids.map((id) => ({ ...node(id), ...placed.at.get(id) }));
      placed.edges.forEach(({ label }) => label && boxes.push({ x: label.x - 30, y: label.y - 8, w: 60, h: 16 }));
      for (const [i, a] of boxes.entries()) {
        assert.ok(a.x > -1 && a.y > -1 && a.x + a.w < placed.w + 1 && a.y + a.h < placed.h + 1, 'within the drawing');
        for (const b of boxes.slice(i + 1)) assert.ok(!overlaps(a, b), `round ${round}`);
      }
    }
  }
});

test('a cycle is drawn, with the first state first', () => {
  const placed = layered(['a', 'b', 'c'].map(node), [['b', 'c'], ['c', 'a'], ['a', 'b']].map(([from, to]) => ({ from, to, w: 40, h: 16 })), ['a'], false);
  const y = (id) => placed.at.get(id).y;
  assert.ok(y('a') < y('b') && y('b') < y('c'));
});

test('instances of a state with parameters come from the document and from the state', () => {
  const structure = { name: 'root', fqn: 'root', ltms: [{ name: 'work_{n}', fqn: 'root.work_{n}' }, { name: 'a.b', fqn: 'root.a.b' }] };
  const instances = { 'root.work_{n}': [{ fqn: 'root.work_1', fname: 'work_1' }] };
  const machine = machineOf(structure, instances, { work_2: { _status: 'active' }, work_x: 'no state', other: { _status: 'init' } });
  assert.deepEqual(machine.children[0].names, ['work_1', 'work_2']);
  assert.equal(machine.children[0].kind, 'group');
});

test('a structure that is no structure does no harm', () => {
  for (const structure of [null, {}, { name: 1, ltms: 'x', init: {}, transitions: [null, 3] }, { ltms: [null] }]) assert.ok(machineOf(structure, [], null));
});

test('a machine of any size is drawn up to a limit, and says what is left out', () => {
  const ltms = Array.from({ length: 20_000 }, (_, i) => ({ name: `s${i}`, fqn: `r.s${i}`, ltms: [{ name: 'a', fqn: `r.s${i}.a` }] }));
  const transitions = ltms.map((it, i) => ({ from: it.name, to: `s${(i * 7) % 20_000}`, label: 'go', namespace: 'r' }));
  const machine = machineOf({ name: 'r', fqn: 'r', ltms, transitions }, {}, {});
  assert.ok([...walk(machine)].length <= 601);
  assert.ok(machine.transitions.length <= 600);
  assert.equal(machine.hidden, 20_000 - machine.children.length);
});
