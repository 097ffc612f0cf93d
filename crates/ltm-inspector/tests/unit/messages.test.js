import assert from 'node:assert/strict';
import { test } from 'node:test';

import { conversationsOf } from '../../web/data/conversations.js';
import { messageOf } from '../../web/ltm/messages/message.js';
import { sections } from '../../web/ltm/messages/sections.js';
import { threadOf } from '../../web/ltm/messages/thread.js';

/** A conversation of one question, one call and its result, in each form. */
const FORMS = {
  'OpenAI chat': [
    { role: 'user', content: 'Where?' },
    { role: 'assistant', content: null, tool_calls: [{ id: 'c1', type: 'function', function: { name: 'search', arguments: '{"q":"harbour"}' } }] },
    { role: 'tool', tool_call_id: 'c1', content: 'found' },
  ],
  'OpenAI responses': [
    { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Where?' }] },
    { type: 'function_call', call_id: 'c1', id: 'fc_1', name: 'search', arguments: '{"q":"harbour"}' },
    { type: 'function_call_output', call_id: 'c1', output: 'found' },
  ],
  Anthropic: [
    { role: 'user', content: 'Where?' },
    { role: 'assistant', content: [{ type: 'tool_use', id: 'c1', name: 'search', input: { q: 'harbour' } }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c1', content: [{ type: 'text', text: 'found' }] }] },
  ],
  LangChain: [
    { type: 'human', content: 'Where?' },
    { type: 'ai', content: '', tool_calls: [{ name: 'search', args: { q: 'harbour' }, id: 'c1', type: 'tool_call' }] },
    { type: 'tool', content: 'found', tool_call_id: 'c1', name: 'search' },
  ],
  'messages_to_dict of LangChain': [
    { type: 'human', data: { content: 'Where?' } },
    { type: 'ai', data: { content: '', tool_calls: [{ name: 'search', args: { q: 'harbour' }, id: 'c1' }] } },
    { type: 'tool', data: { content: 'found', tool_call_id: 'c1' } },
  ],
  'dumpd of LangChain': [
    { lc: 1, type: 'constructor', id: ['langchain', 'schema', 'messages', 'HumanMessage'], kwargs: { content: 'Where?' } },
    { lc: 1, type: 'constructor', id: ['langchain', 'schema', 'messages', 'AIMessageChunk'], kwargs: { content: '', tool_calls: [{ name: 'search', args: { q: 'harbour' }, id: 'c1' }] } },
    { lc: 1, type: 'constructor', id: ['langchain', 'schema', 'messages', 'ToolMessage'], kwargs: { content: 'found', tool_call_id: 'c1' } },
  ],
  'AG-UI': [
    { id: '1', role: 'user', content: 'Where?' },
    { id: '2', role: 'assistant', toolCalls: [{ id: 'c1', type: 'function', function: { name: 'search', arguments: '{"q":"harbour"}' } }] },
    { id: '3', role: 'tool', toolCallId: 'c1', content: 'found' },
  ],
  Gemini: [
    { role: 'user', parts: [{ text: 'Where?' }] },
    { role: 'model', parts: [{ functionCall: { id: 'c1', name: 'search', args: { q: 'harbour' } } }] },
    { role: 'user', parts: [{ functionResponse: { id: 'c1', name: 'search', response: 'found' } }] },
  ],
  'AI SDK': [
    { role: 'user', parts: [{ type: 'text', text: 'Where?' }] },
    { role: 'assistant', parts: [{ type: 'tool-search', toolCallId: 'c1', state: 'output-available', input: { q: 'harbour' }, output: 'found' }] },
  ],
};

for (const [form, messages] of Object.entries(FORMS)) {
  test(`a conversation in the form of ${form} is found, and each call has its result`, () => {
    assert.deepEqual(conversationsOf({ _status: 'active', agent: { messages } }), ['/agent/messages']);
    const thread = threadOf(messages, []);
    assert.equal(thread.length, 2, 'the result is with its call');
    const [question, answer] = thread;
    assert.equal(question.message.role, 'user');
    assert.deepEqual(question.message.parts, [{ kind: 'text', text: 'Where?', growing: false }]);
    assert.equal(answer.message.role, 'assistant');
    assert.deepEqual(answer.message.calls, [{ id: 'c1', name: 'search', arguments: { q: 'harbour' }, growing: false }]);
    assert.equal(answer.answers[0].value, 'found');
    assert.equal(answer.answers[0].failed, false);
  });
}

test('what is no conversation is not taken for one', () => {
  for (const list of [[], [1, 2], ['a'], [{ type: 'circle', content: 1 }], [{ name: 'x' }], [{ role: 'admin' }], [{ type: 'tool', hammer: true }], [null, { role: 'user', content: 'x' }]]) {
    assert.deepEqual(conversationsOf({ list }), [], JSON.stringify(list));
  }
  assert.deepEqual(conversationsOf({}), []);
});

test('all conversations of a state are found, by pointers', () => {
  const talk = [{ role: 'user', content: 'x' }];
  assert.deepEqual(conversationsOf({ _messages: talk, agents: [{ 'a/b': [{ role: 'user', content: 'y' }] }] }), ['/_messages', '/agents/0/a~1b']);
});

test('texts and arguments that still grow are shown as far as they are', () => {
  const text = messageOf({ role: 'assistant', content: { chunks: ['Ha', 'rbour'] } });
  assert.deepEqual(text.parts, [{ kind: 'text', text: 'Harbour', growing: true }]);
  const { calls } = messageOf({ role: 'assistant', toolCalls: [{ id: 'c', function: { name: 'search', arguments: { chunks: ['{"q":', '"ha'] } } }] });
  assert.deepEqual(calls, [{ id: 'c', name: 'search', arguments: '{"q":"ha', growing: true }]);
});

test('a call that has no result yet, a result that has no call, and a failed one are told apart', () => {
  const [ask, lone] = threadOf([
    { type: 'ai', content: 'I look.', tool_calls: [{ id: 'a', name: 'one', args: {} }, { id: 'b', name: 'two', args: {} }] },
    { type: 'tool', tool_call_id: 'b', content: 'broke', status: 'error' },
    { type: 'tool', tool_call_id: 'other', content: '{"a": 1}' },
  ], undefined);
  assert.equal(ask.answers[0], undefined);
  assert.equal(ask.answers[1].failed, true);
  assert.deepEqual(lone.loose.map((it) => it.value), [{ a: 1 }]);
});

test('what a step did to the messages is marked, and a result marks its call', () => {
  const call = { type: 'ai', content: '', tool_calls: [{ id: 'a', name: 'one', args: {} }] };
  const before = [{ type: 'human', content: 'x' }, call];
  const after = [...before, { type: 'tool', tool_call_id: 'a', content: 'y' }, { type: 'ai', content: 'z' }];
  assert.deepEqual(threadOf(after, before).map((it) => it.mark), [null, 'changed', 'added']);
});

test('whatever an engine writes as a message is read without an error', () => {
  const odd = [null, 1, 'x', [], {}, { role: 7 }, { role: 'user', content: 7 }, { role: 'assistant', content: [null, 1, [], {}, { type: 4 }], tool_calls: [null, 3, {}, { function: 1 }] },
    { role: 'tool' }, { type: 'constructor', kwargs: {} }, { role: '__proto__', content: 'x' }, { role: 'constructor', content: {} }, { type: 'reasoning', summary: [null, {}] }, { role: 'user', parts: 'x' }];
  for (const raw of odd) assert.equal(typeof messageOf(raw).word, 'string', JSON.stringify(raw));
  assert.equal(threadOf(odd, odd).length > 0, true);
});

test('the sections of a text are the text, and only the last one changes while it grows', () => {
  const block = (n) => [`Paragraph ${n} ${'word '.repeat(60)}\n\n`, `- item ${n}\n- item\n\n  more of it\n\n`, `\`\`\`js\nlet n = ${n};\n\nlet m;\n\`\`\`\n\n`, `| a |\n| - |\n| ${n} |\n\n`][n % 4];
  const text = Array.from({ length: 60 }, (_, n) => block(n)).join('');
  let before = [];
  for (let end = 0; end <= text.length; end += 13) {
    const found = sections(text.slice(0, end));
    assert.equal(found.join(''), text.slice(0, end));
    const kept = found.filter((section, at) => section === before[at]).length;
    assert.ok(kept >= before.length - 1, 'finished sections stay');
    before = found;
  }
  assert.ok(before.length > 5 && before.every((section) => section.length < 8100), 'none is long');
  for (const section of before) assert.equal((section.match(/^```/gm) ?? []).length % 2, 0, 'no block of code is cut');
});
