import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { Queues } from '../../web/data/steps.js';
import { Recorder } from '../../web/ltm/waterfall/recorder.js';
import { keyAt, rowAt, rowCount, sectionsOf } from '../../web/ltm/waterfall/rows.js';
import { Scale } from '../../web/ltm/waterfall/scale.js';

const time = (seconds) => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds)).toISOString();
const step = (seconds, title, patch, more = {}) => ({ time: time(seconds), reason: 'execute', item: { fqn: `agent.${title}`, item_id: `${title} ${seconds}` }, patch, execute_queue: [], transitions_queue: [], ...more });
const status = (path, value) => ({ op: 'replace', path: `${path}/_status`, value });
const add = (path, value) => ({ op: 'add', path, value });

/** All that the recorder reads of a history. */
function read(snapshots, recorder = new Recorder()) {
  recorder.update(snapshots);
  assert.equal(recorder.work(Infinity), true);
  return recorder;
}

/** The rows, as texts; with all that a row has at the pointer of a name. */
function rows(snapshots, errors = [], closed = new Set()) {
  const recorder = read(snapshots);
  const queues = new Queues();
  queues.update(snapshots);
  const model = { view: { snapshots, errors, name: 'agent 7' }, queues };
  const sections = sectionsOf(recorder, model, new Scale(recorder.times, 500, 'time'));
  const all = Array.from({ length: rowCount(sections, closed) }, (_, index) => rowAt(sections, closed, index));
  assert.deepEqual(all.map((_, index) => keyAt(sections, closed, index)), all.map(({ key }) => key));
  return all;
}

const RUN = [
  step(0, 'start', [add('', { _status: 'active', plan: { _status: 'queued' }, later: { _status: 'init' }, write: { _status: 'init', draft: { _status: 'init' } } })]),
  step(2, 'plan', [status('/plan', 'active')]),
  step(5, 'plan', [status('/plan', 'finished'), add('/search_a', { _status: 'queued' }), add('/search_b', { _status: 'queued' })]),
  step(6, 'search_a', [status('/search_a', 'active'), status('/search_b', 'active')]),
  step(9, 'search_b', [status('/search_b', 'error')]),
  step(10, 'search_a', [status('/search_a', 'finished'), status('/write', 'active'), status('/write/draft', 'active')]),
  ...Array.from({ length: 60 }, (_, n) => step(11 + n, 'write', [add('/text', n)])),
  step(80, 'write', [{ op: 'remove', path: '/search_b' }], { reason: 'transition' }),
];

test('states have their times in each status, in the order in which they began, those of a machine below it', () => {
  const shown = rows(RUN).filter((row) => row.key.startsWith('state '));
  assert.deepEqual(shown.map(({ label, level, note, detail }) => [label, level, note, detail]), [
    ['agent 7', 2, 'active', '1 min'], ['plan', 3, 'finished', '3.0 s, queued 2.0 s'], ['search_a', 3, 'finished', '4.0 s, queued 1.0 s'],
    ['search_b', 3, 'gone', '3.0 s, queued 1.0 s'], ['write', 3, 'active', '1 min'], ['draft', 4, 'active', '1 min'], ['later', 3, 'init', ''],
  ]);
  const plan = shown.find(({ label }) => label === 'plan');
  assert.deepEqual(plan.bars, [{ from: 0, to: 1, tone: 'queued', thin: true }, { from: 1, to: 2, tone: 'active', thin: false }]);
  assert.deepEqual(plan.marks, [{ at: 2, tone: 'finished' }]);
  assert.equal(plan.place, 1);
  const failed = shown.find(({ label }) => label === 'search_b');
  assert.deepEqual(failed.bars.at(-1), { from: 4, to: 66, tone: 'error', thin: true });
});

test('steps of the same item, one after the other, are one row', () => {
  const shown = rows(RUN).filter((row) => row.key.startsWith('step '));
  assert.deepEqual(shown.map(({ label }) => label), ['start', 'plan × 2', 'search_a', 'search_b', 'search_a', 'write × 60', 'write']);
  assert.deepEqual(shown[5].bars, [{ from: 5, to: 65, tone: 'step-execute' }]);
  assert.equal(shown[5].detail, '1 min');
});

test('the time that a step waited in the queue is beside the time that it took', () => {
  const queued = { fqn: 'agent.b', item_id: 'b 9' };
  const shown = rows([step(0, 'a', [], { execute_queue: [queued] }), step(7, 'c', []), step(9, 'b', [])]).at(-1);
  assert.deepEqual([shown.label, shown.detail], ['b', '2.0 s, queued 7.0 s']);
  assert.deepEqual(shown.bars, [{ from: 0, to: 1, tone: 'queued', thin: true }, { from: 1, to: 2, tone: 'step-execute' }]);
});

test('errors have a row each, and marks at their states; one that was recovered is not bad', () => {
  const error = (id, fqn, success) => ({ id, reason: 'execute', item: { fqn }, retries: [{ time: time(7) }, { time: time(8) }], retrying: false, success, created_at: time(8), updated_at: time(9) });
  const shown = rows(RUN, [error('1', 'agent.search_a', true), error('2', 'agent.write.draft', false)]);
  const byKey = (key) => shown.find((row) => row.key === key);
  assert.deepEqual([byKey('error 1').note, byKey('error 1').bad, byKey('error 1').detail], ['recovered', false, '2 attempts']);
  assert.deepEqual([byKey('error 2').label, byKey('error 2').note, byKey('error 2').bad], ['draft', 'failed', true]);
  assert.equal(byKey('state /search_a').bad, false);
  assert.deepEqual(byKey('state /write/draft').marks, [{ at: 3, tone: 'error' }, { at: 3, tone: 'error' }]);
  assert.equal(byKey('state /write/draft').bad, true);
});

test('tool calls last from the message that has them to their result', () => {
  const call = (id) => ({ type: 'ai', content: '', tool_calls: [{ id, name: 'search', args: { q: id } }] });
  const shown = rows([
    step(0, 'start', [add('', { messages: [] })]), step(1, 'model', [add('/messages/-', call('a')), add('/messages/-', call('b'))]), step(2, 'model', [add('/messages/-', call('c'))]),
    step(4, 'tools', [add('/messages/-', { type: 'tool', tool_call_id: 'a', content: 'x' })]), step(5, 'tools', [add('/messages/-', { type: 'tool', tool_call_id: 'b', content: 'x', status: 'error' })]),
  ]).filter((row) => row.key.startsWith('call '));
  assert.deepEqual(shown.map(({ note, detail, bad }) => [note, detail, bad]), [['q="a"', '3.0 s', false], ['q="b"', '4.0 s', true], ['q="c"', 'no result', false]]);
});

test('a tool call ends when its result was complete, although the messages are written anew or the first ones are dropped', () => {
  const call = { role: 'assistant', content: '', tool_calls: [{ id: 'a', function: { name: 'search', arguments: '{}' } }] };
  const result = (content) => ({ role: 'tool', tool_call_id: 'a', content });
  const word = { role: 'user', content: 'and?' };
  const all = (...messages) => [{ op: 'add', path: '/messages', value: structuredClone(messages) }];
  const spans = (...patches) => [...read(patches.map((patch, n) => step(n, 'run', patch))).calls.values()].map(({ from, to }) => [from, to]);
  assert.deepEqual(spans(all(call), all(call, result('x')), all(call, result('x'), word), all(call, result('x'), word, word)), [[0, 1]]);
  assert.deepEqual(spans(all(word, call), all(word, call, result('x')), [{ op: 'remove', path: '/messages/0' }], [{ op: 'remove', path: '/messages/0' }]), [[0, 1]]);
  const growing = (...chunks) => result({ chunks });
  assert.deepEqual(spans(all(call), all(call, growing('x')), all(call, growing('x', 'y')), all(call, result('xy')), all(call, result('xy'), word)), [[0, 3]]);
});

test('a tool call without an id is one row, although the messages are written anew or the first ones are dropped', () => {
  const call = (query) => ({ role: 'assistant', content: '', function_call: { name: 'search', arguments: JSON.stringify({ query }) } });
  const word = { role: 'user', content: 'and?' };
  const all = (...messages) => [{ op: 'add', path: '/messages', value: structuredClone(messages) }];
  const starts = (...patches) => [...read(patches.map((patch, n) => step(n, 'run', patch))).calls.values()].map(({ call: { arguments: it }, from }) => [it.query, from]);
  assert.deepEqual(starts(all(word, call('a')), all(call('a'), word, call('b')), all(word, call('b'), call('b'))), [['a', 0], ['b', 1], ['b', 2]]);
  assert.deepEqual(starts(all(word, word, call('a')), [{ op: 'remove', path: '/messages/0' }], all(word, call('a'), word)), [['a', 0]]);
  assert.deepEqual(starts(all(word, call('a')), all(word, call('ab'))), [['ab', 0]]);
});

test('a history that was rolled back, or only grew, gives the same as one read anew', () => {
  const recorder = read(RUN.slice(0, 5));
  const facts = (it) => JSON.stringify([[...it.tracks.values()], it.runs, it.times]);
  read(RUN, recorder);
  assert.equal(facts(recorder), facts(read(RUN)));
  const other = [...RUN.slice(0, 3), step(6, 'other', [status('/plan', 'error')])];
  read(other, recorder);
  assert.equal(facts(recorder), facts(read(other)));
});

test('the recorded histories are read without an error, and end in the statuses of the state', () => {
  for (const name of ['tutorial', 'lists', 'celery_rollback', 'rollback_recover', 'patch_ops']) {
    const { documents } = JSON.parse(readFileSync(new URL(`../../../../tests/data/${name}.json`, import.meta.url)));
    for (const { document } of documents) {
      const { tracks } = read(document.snapshots);
      for (const { pointer, spans } of tracks.values()) {
        const value = pointer.split('/').slice(1).reduce((it, key) => it?.[key], document.state);
        const last = spans.at(-1);
        assert.equal(last?.to === null ? last.status : undefined, typeof value?._status === 'string' ? value._status : undefined, `${name} ${pointer}`);
      }
    }
  }
});

test('closed sections have no rows', () => {
  const shown = rows(RUN, [], new Set(['States', 'Steps']));
  assert.deepEqual(shown.map(({ label, open }) => [label, open]), [['States', false], ['Steps', false]]);
});

test('no two labels of the axis are equal, however long it took', () => {
  for (let whole = 1; whole < 4e9; whole = Math.ceil(whole * 1.3)) {
    for (const width of [200, 800, 2400]) {
      const texts = new Scale([0, whole], width, 'time').labels(0).map(({ text }) => text);
      assert.equal(new Set(texts).size, texts.length, `${whole}: ${texts}`);
      assert.ok(texts.every((text) => text.length <= 12), texts.join());
    }
  }
  assert.deepEqual(new Scale([0, 125_000], 430, 'time').labels(0).map(({ text }) => text), ['0 ms', '30 s', '1 min', '1 min 30 s', '2 min']);
});

test('the axis is by time or by step, and leads back to the step', () => {
  const recorder = read(RUN);
  for (const unit of ['time', 'steps']) {
    const scale = new Scale(recorder.times, 400, unit);
    assert.equal(scale.x(0), 0);
    assert.equal(scale.x(scale.last), 400);
    for (let place = 0; place <= scale.last; place += 1) assert.equal(scale.placeAt(scale.x(place)), place, `${unit} ${place}`);
    const labels = scale.labels(0);
    assert.ok(labels.length > 1 && labels.every(({ x }) => x >= 0 && x <= 400), JSON.stringify(labels));
  }
  const one = new Scale([5], 400, 'time');
  assert.ok(Number.isFinite(one.x(0)) && one.labels(0).length > 0);
  assert.ok(Number.isFinite(new Scale([], 400, 'steps').x(0)));
});
