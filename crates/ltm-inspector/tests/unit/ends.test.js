import assert from 'node:assert/strict';
import { test } from 'node:test';

import { inputOf, resultOf } from '../../web/ltm/ends.js';

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
