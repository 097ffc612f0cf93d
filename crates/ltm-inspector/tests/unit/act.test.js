import assert from 'node:assert/strict';
import { test } from 'node:test';

import { applyPatch } from 'ltm-live';
import { patchTo } from '../../web/ltm/act/actions.js';
import { wholeDocument } from '../../web/ltm/act/document.js';

/** The patch to an edited state; it has to lead there. */
function patch(was, is) {
  const found = patchTo(was, JSON.stringify(is));
  assert.deepEqual(applyPatch(was, found), is);
  return found;
}

test('a message more is one operation, however long the list', () => {
  const messages = Array.from({ length: 5000 }, (_, n) => ({ role: 'user', content: `message ${n}`, more: { n } }));
  const added = { role: 'user', content: 'new' };
  assert.deepEqual(patch({ messages }, { messages: [...messages, added] }), [{ op: 'add', path: '/messages/5000', value: added }]);
  assert.deepEqual(patch({ messages }, { messages: messages.toSpliced(7, 0, added) }), [{ op: 'add', path: '/messages/7', value: added }]);
  assert.deepEqual(patch({ messages }, { messages: messages.toSpliced(7, 2) }), [{ op: 'remove', path: '/messages/8' }, { op: 'remove', path: '/messages/7' }]);
});

test('the patch names what was edited, and leads to the edited state', () => {
  const was = { same: [1, { a: 2 }], gone: 1, text: 'x', list: [{ n: 1 }, { n: 2 }, 3], 'a/b': null, kind: {} };
  const is = { same: [1, { a: 2 }], text: 'y', list: [{ n: 1 }, { n: 9 }, 3], 'a/b': 1, kind: [], come: {} };
  assert.deepEqual(patch(was, is), [
    { op: 'remove', path: '/gone' }, { op: 'replace', path: '/text', value: 'y' }, { op: 'replace', path: '/list/1/n', value: 9 },
    { op: 'replace', path: '/a~1b', value: 1 }, { op: 'replace', path: '/kind', value: [] }, { op: 'add', path: '/come', value: {} },
  ]);
  assert.deepEqual(patch(was, structuredClone(was)), []);
  for (const [a, b] of [[[], [1, 2]], [[1, 2], []], [[1, 2, 3], [3, 1, 2, 4]], [[[1], [2]], [[2], [1], [0]]], [[1, 1, 1], [1, 1]]]) patch({ a }, { a: b });
});

test('very many changes are one operation, and a state that is nested too deeply is told', () => {
  const many = (of) => ({ list: Array.from({ length: 3000 }, (_, n) => `${of} ${n}`) });
  assert.deepEqual(patch(many('a'), many('b')), [{ op: 'replace', path: '', value: many('b') }]);
  const deep = (levels, value) => `{"a":${'['.repeat(levels)}${value}${']'.repeat(levels)}}`;
  const [was, is] = [JSON.parse(deep(1000, 1)), JSON.parse(deep(1000, 2))];
  assert.equal(patchTo(was, deep(1000, 2)).length, 1);
  assert.deepEqual(patch(was, is).map(({ op }) => op), ['replace']);
  assert.match(patchTo({}, deep(100_000, 2)), /nested too deeply/);
  assert.match(patchTo(JSON.parse(deep(100_000, 1)), deep(100_000, 2)), /nested too deeply/);
});

/** A document from pages of rollbacks; each has the index of its first one, and of that of the next page. */
async function joined(pages) {
  const asked = [];
  const text = await wholeDocument(async (query) => {
    asked.push(query);
    const [first, rollbacks, next] = pages[asked.length - 1];
    return `{"id":9007199254740993,"state":{"page":${asked.length}},"rollbacks":${JSON.stringify(rollbacks)},"first_rollback":${first}${next === undefined ? '' : `,"next_rollback":${next}`}}`;
  });
  return { asked, text };
}

test('a downloaded document has the rollbacks of all pages, and every digit', async () => {
  const { asked, text } = await joined([[0, ['a', 'b'], 2], [2, ['c'], 3], [3, ['d']]]);
  assert.deepEqual(asked, ['rollbacks=true', 'rollbacks=true&from_rollback=2', 'rollbacks=true&from_rollback=3']);
  assert.equal(text, '{"id":9007199254740993,"state":{"page":3},"rollbacks":["a","b","c","d"],"first_rollback":0}');
  const trimmed = await joined([[0, ['a', 'b'], 2], [5, ['f'], 6], [6, ['g']]]);
  assert.match(trimmed.text, /"rollbacks":\["f","g"\],"first_rollback":5/);
});
