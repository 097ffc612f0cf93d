// The promises of a text that is streamed, with the real services.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { followLtm, Problem, Producer } from '../dist/index.js';
import { TextStream, textOf } from '../dist/text.js';
import { Services } from './support/services.mjs';
import { until } from './support/until.mjs';

let services;
let producer;

before(async () => {
  services = await Services.start();
  producer = new Producer(services.url);
});
after(() => services.stop());

test('a follower sees the text grow, and in the end it is one text', async () => {
  const { id } = await producer.create({ fqn: 'app.Chat', state: { messages: [{ role: 'ai' }] } });
  const seen = [];
  const following = followLtm(services.url, id, { WebSocket });
  const complete = new Promise((resolve) => {
    following.subscribe(() => {
      const content = following.view.state.messages?.[0].content;
      if (content === undefined) return;
      seen.push(textOf(content));
      if (typeof content === 'string') resolve();
    });
  });
  const out = new TextStream(producer, id, '/messages/0/content', { every: 1, item: 'answer' });
  const tokens = Array.from({ length: 300 }, (_, n) => `token${n} `);
  for (const token of tokens) {
    out.write(token);
    if (token.endsWith('0 ')) await new Promise(setImmediate);
  }
  const text = tokens.join('');
  assert.equal(await out.end(), text);
  await complete;
  following.close();
  assert.equal(seen.at(-1), text);
  assert.ok(seen.every((part) => text.startsWith(part)));
  const { state, snapshots } = await services.document(id);
  assert.deepEqual(state.messages, [{ content: text, role: 'ai' }]);
  assert.ok(snapshots.length < 100, `${snapshots.length} snapshots`);
  assert.deepEqual([snapshots.at(-1).reason, snapshots.at(-1).item], ['tokens', 'answer']);
  assert.throws(() => out.write('more'), /ended/);
});

test('an empty text is a text, and what fails is thrown', async () => {
  const { id } = await producer.create({ fqn: 'app.Chat' });
  assert.equal(await new TextStream(producer, id, '/a').end(), '');
  assert.deepEqual((await services.document(id)).state, { a: '' });
  const lost = new TextStream(producer, id, '/not/there', { every: 1 });
  lost.write('a');
  await assert.rejects(lost.end(), (error) => error instanceof Problem && error.kind === 'patch-failed');
  assert.throws(() => lost.write('b'), Problem);
});

test('a text that begins with an empty token is streamed', async () => {
  const { id } = await producer.create({ fqn: 'app.Chat' });
  const out = new TextStream(producer, id, '/a', { every: 1 });
  out.write('');
  out.write('b');
  await until(async () => (await services.document(id)).state.a?.chunks?.join() === 'b');
  assert.equal(await out.end(), 'b');
});

test('a text that is ended twice is written once', async () => {
  const { id } = await producer.create({ fqn: 'app.Chat' });
  const out = new TextStream(producer, id, '/a');
  out.write('b');
  assert.deepEqual(await Promise.all([out.end(), out.end()]), ['b', 'b']);
  const { cursor } = await services.document(id);
  assert.equal(await out.end(), 'b');
  const after = await services.document(id);
  assert.equal(after.cursor, cursor);
  assert.equal(after.snapshots.filter(({ patch }) => patch?.some(({ value }) => value === 'b')).length, 1);
});
