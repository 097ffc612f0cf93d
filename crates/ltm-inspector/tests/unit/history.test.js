import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

import { changes } from '../../web/data/changes.js';
import { History } from '../../web/data/history.js';
import { errorPlaces, Runs } from '../../web/ltm/step-rows.js';
import { brief } from '../../web/data/json.js';
import { Queues, titleOf } from '../../web/data/steps.js';

const step = (n) => ({ patch: [{ op: n ? 'replace' : 'add', path: '/n', value: n }] });
const many = (count) => Array.from({ length: count }, (_, n) => step(n));

test('the state after any snapshot is the fold up to there, in whatever order it is asked for', async () => {
  const history = new History();
  history.update(many(1000));
  for (const index of [999, 0, 500, 63, 64, 65, 127, 998, 1]) assert.deepEqual(await history.at(index), { n: index });
  assert.deepEqual(await history.at(-1), {});
});

test('every recorded history folds to its state', async () => {
  const data = new URL('../../../../tests/data/', import.meta.url);
  for (const name of readdirSync(data).filter((it) => it.endsWith('.json'))) {
    const { document } = JSON.parse(readFileSync(new URL(name, data), 'utf8')).documents.at(-1);
    const history = new History();
    history.update(document.snapshots);
    assert.deepEqual(await history.at(document.snapshots.length - 1), document.state, name);
  }
});

test('a history that became another one from some snapshot on is folded anew from there', async () => {
  const history = new History();
  const before = many(300);
  history.update(before);
  await history.at(299);
  const after = [...before.slice(0, 100), ...Array.from({ length: 150 }, (_, n) => step(-n))];
  history.update(after);
  assert.deepEqual(await history.at(249), { n: -149 });
  assert.deepEqual(await history.at(99), { n: 99 });
  history.update(before.slice(0, 10));
  assert.deepEqual(await history.at(9), { n: 9 });
  await assert.rejects(history.at(10));
});

test('folding stops for the page, and goes on', async () => {
  const history = new History();
  const large = Array.from({ length: 20_000 }, (_, n) => ({ patch: [{ op: 'add', path: `/k${n}`, value: n }] }));
  history.update(large);
  assert.equal(history.now(19_999), undefined, 'this takes longer than a moment');
  assert.equal(Object.keys(await history.at(19_999)).length, 20_000);
});

test('changes are what differs, and where', () => {
  const shared = { deep: [1, 2] };
  const marks = changes({ a: 1, gone: 1, shared, list: [shared, 'x'] }, { a: 2, fresh: 1, shared, list: ['new', shared, 'x'] });
  assert.deepEqual([...marks].sort(), [['', 'within'], ['/a', 'changed'], ['/fresh', 'added'], ['/list', 'within'], ['/list/0', 'added']]);
});

test('a list that was replaced by an equal one is not marked, and one that grew only where it grew', () => {
  const messages = () => [{ type: 'human', content: 'Hello' }, { type: 'ai', content: 'Hi', tool_calls: [] }];
  assert.deepEqual([...changes({ messages: messages() }, { messages: messages() })], []);
  const grown = changes({ messages: messages() }, { messages: [...messages(), { type: 'human', content: 'Bye' }] });
  assert.deepEqual([...grown].sort(), [['', 'within'], ['/messages', 'within'], ['/messages/2', 'added']]);
  const shorter = changes({ messages: messages() }, { messages: messages().slice(0, 1) });
  assert.deepEqual([...shorter].sort(), [['', 'within'], ['/messages', 'within']]);
});

test('a step is named by whatever its item has', () => {
  const title = (item) => titleOf({ reason: 'execute', item });
  assert.equal(title({ fqn: 'agent.write.draft' }), 'draft');
  assert.equal(title({ label: 'search_{topic}', params: [{ topic: 'bears' }] }), 'search_bears');
  assert.equal(title({ task: 'plan' }), 'plan');
  assert.equal(title({ id: 'f2b8', type: 'TEXT_MESSAGE_START', role: 'assistant' }), 'TEXT_MESSAGE_START');
  assert.equal(title({ n: 1, node: 'agent', step: 3 }), 'agent');
  assert.equal(title({ text: 'a long text '.repeat(20) }).length <= 61, true);
  assert.equal(title('by hand'), 'by hand');
  for (const item of [null, { payload: { a: 1 } }, {}, 7, []]) assert.equal(title(item), 'execute');
});

test('a value on one line says what it is, not only which keys it has', () => {
  assert.equal(brief({ content: 'How were harbours lit?', id: 'a', response_metadata: {}, type: 'human' }), '{ human · How were harbours lit? }');
  assert.equal(brief({ role: 'assistant', content: [{ type: 'text', text: 'x' }], id: 1 }), '{ assistant · content, id }');
  assert.equal(brief({ title: 'Light', pages: 3 }), '{ Light · pages }');
  assert.equal(brief({ a: 1, b: 2 }), '{ a, b }');
  assert.equal(brief({}), '{}');
});

test('equal steps in a row are one row until it is opened, also if they came one by one', () => {
  const named = (name, n = 1) => Array.from({ length: n }, () => ({ reason: 'execute', item: name, patch: [] }));
  const all = [...named('plan'), ...named('write', 60), ...named('review', 2)];
  const runs = new Runs();
  for (let count = 1; count <= all.length; count += 1) runs.update(all.slice(0, count));
  const shown = (open = new Set(), keeps) => runs.rows(open, keeps).map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`));
  assert.deepEqual(shown(), ['0', '1-60', '61', '62']);
  assert.equal(shown(new Set([1])).length, 63);
  assert.deepEqual(shown(new Set(), (place) => place % 20 === 0), ['0', '20', '40', '60']);
  runs.update(all.slice(0, 5));
  assert.deepEqual(shown(), ['0', '1-4'], 'rolled back');
});

test('an error belongs to the step that took its item, or to the last before it that did the same', () => {
  const snapshots = ['a', 'b', 'a', 'c'].map((fqn, n) => ({ item: { fqn, item_id: `i${n}` }, time: `2026-01-01T00:00:0${n}Z` }));
  const error = (item, second, success = false) => ({ item, created_at: `2026-01-01T00:00:0${second}Z`, success });
  const places = (...errors) => [...errorPlaces(errors, snapshots)];
  assert.deepEqual(places(error({ item_id: 'i1' }, 9)), [[1, 'bad']]);
  assert.deepEqual(places(error({ fqn: 'a' }, 1)), [[0, 'bad']]);
  assert.deepEqual(places(error({ fqn: 'a' }, 5, true)), [[2, 'recovered']]);
  assert.deepEqual(places(error({ fqn: 'x' }, 1)), [[1, 'bad']]);
  assert.deepEqual(places(error({ fqn: 'a' }, 5, true), error({ fqn: 'a' }, 5)), [[2, 'bad']]);
});

test('an item waits from the snapshot that queued it to the one that took it', () => {
  const queues = new Queues();
  const item = { item_id: 'a', fqn: 'x' };
  const snapshots = [{ item: null, execute_queue: [item], transitions_queue: [] }, { item: null }, { item, execute_queue: [] }];
  queues.update(snapshots);
  assert.deepEqual([0, 1, 2].map((index) => queues.waiting(index).length), [1, 1, 0]);
  assert.equal(queues.queuedBy(item), 0);
  assert.equal(queues.takenBy(item), 2);
  queues.update(snapshots.slice(0, 2));
  assert.equal(queues.takenBy(item), undefined, 'rolled back');
});
