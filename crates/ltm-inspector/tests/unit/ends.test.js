import assert from 'node:assert/strict';
import { test } from 'node:test';

import { inputOf, resultOf, saidBy } from '../../web/ltm/ends.js';
import { failureAt } from '../../web/ltm/step-rows.js';

test('a run shows what it was asked and what came out, from its state, its conversation or its parameters', () => {
  const params = { model: 'small', language: 'en' };
  assert.deepEqual(inputOf({ params }, { question: 'Where?', messages: [{ role: 'user', content: 'no' }] }), { text: 'Where?', pointer: '/question' });
  const messages = [{ role: 'system', content: 'Be brief.' }, { type: 'human', content: [{ type: 'text', text: 'How\n\nfar?' }] }, { type: 'ai', content: '', tool_calls: [] }, { type: 'ai', content: { chunks: ['Two ', 'miles.'] } }, { type: 'tool', content: 'x' }];
  assert.deepEqual(inputOf({ params }, { graph: { messages } }), { text: 'How far?', pointer: '/graph/messages/1' });
  assert.deepEqual(resultOf({ graph: { messages } }), { text: 'Two miles.', pointer: '/graph/messages/3' });
  assert.deepEqual(inputOf({ params }, {}), { text: 'model: small, language: en', pointer: null });
  assert.deepEqual(resultOf({ output: { answer: 42, unit: 'm' } }), { text: 'answer: 42, unit: m', pointer: '/output' });
});

test('nothing is made up where a run says nothing', () => {
  for (const state of [{}, { input: '' }, { input: null, question: [] }, { messages: [] }]) {
    assert.equal(inputOf({ params: {} }, state), null);
    assert.equal(resultOf(state), null);
  }
});

test('what is large costs no more than what is shown of it', () => {
  const output = {};
  let read = 0;
  for (let n = 0; n < 1000; n += 1) Object.defineProperty(output, `m${n}`, { enumerable: true, get: () => (read += 1) });
  assert.equal(resultOf({ output })?.text, '{ m0, m1, m2, m3, … }');
  assert.equal(read, 0);
  const messages = Array.from({ length: 1000 }, (_, n) => ({ role: n === 500 ? 'user' : n === 501 ? 'assistant' : 'tool', content: 'x' }));
  assert.equal(inputOf({ params: {} }, { messages }), null);
  assert.equal(resultOf({ messages }), null);
  messages.splice(950, 1, { role: 'assistant', content: 'late' });
  assert.deepEqual(resultOf({ messages }), { text: 'late', pointer: '/messages/950' });
});

test('a step that failed names the last error up to it, and cuts what the error says', () => {
  const at = (second) => `2026-11-23T18:00:0${second}Z`;
  const snapshots = [1, 3, 5, 7].map((second) => ({ time: at(second), item: null }));
  const [read, passed, write] = [['read', 2, false], ['passed', 4, true], ['write', 8, false]].map(([fqn, second, success]) => ({ item: { fqn }, created_at: at(second), success }));
  const errors = [read, passed, write];
  assert.deepEqual(snapshots.map((_, place) => failureAt(errors, snapshots, place)), [read, read, read, write]);
  assert.equal(failureAt([passed], snapshots, 3), undefined);
  assert.equal(saidBy({ ...read, retries: [{ type: 'TimeoutError', description: 'a\nb' }] }), 'read: TimeoutError: a b');
  assert.ok(saidBy({ ...read, retries: [{ description: 'long '.repeat(100_000) }] }).length < 500);
});
