// What Svelte needs of a store: it calls at once and at each change, and works while it has subscribers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import WebSocket from 'ws';
import { Producer } from '../dist/index.js';
import { ltmStore } from '../dist/svelte.js';
import { Services } from './support/services.mjs';
import { until } from './support/until.mjs';

test('a store follows from its first subscriber to its last', async () => {
  const services = await Services.start();
  const producer = new Producer(services.url);
  const { id } = await producer.create({ fqn: 'app.Agent', state: { n: 0 } });
  const store = ltmStore(services.url, id, { WebSocket });
  const [one, two] = [[], []];
  const ends = [store.subscribe((view) => one.push(view)), store.subscribe((view) => two.push(view))];
  assert.deepEqual([one.length, two.length, one[0].status], [1, 1, 'connecting']);
  await until(() => one.at(-1).status === 'live');
  await producer.append(id, { reason: 'execute', merge: { n: 1 } });
  await until(() => one.at(-1).state.n === 1);
  assert.equal(one.at(-1), two.at(-1));
  ends[0]();
  await producer.append(id, { reason: 'execute', merge: { n: 2 } });
  await until(() => two.at(-1).state.n === 2);
  assert.equal(one.at(-1).state.n, 1);
  ends[1]();
  const again = [];
  const end = store.subscribe((view) => again.push(view));
  await until(() => again.at(-1).status === 'live' && again.at(-1).state.n === 2);
  end();
  await services.stop();
});

test('a store on a server without WebSockets stays connecting, and throws nothing', () => {
  const { WebSocket: socket, EventSource: source } = globalThis;
  try {
    globalThis.WebSocket = globalThis.EventSource = undefined;
    const views = [];
    ltmStore('http://127.0.0.1:9', 1).subscribe((view) => views.push(view.status))();
    assert.deepEqual(views, ['connecting']);
  } finally {
    Object.assign(globalThis, { WebSocket: socket, EventSource: source });
  }
});
