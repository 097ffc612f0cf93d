// The client in a runtime that has only what React Native has: Hermes and the libraries that come with it. What is missing
// there is taken away here before the client is loaded.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Socket from 'ws';
import { Services } from './support/services.mjs';
import { untilView } from './support/until.mjs';
import { sameAsDocument } from './support/view.mjs';

const { crypto } = globalThis;
const missing = (name) => {
  throw new Error(`${name} is not implemented`);
};

for (const name of ['crypto', 'location', 'EventSource', 'BroadcastChannel', 'addEventListener']) {
  delete globalThis[name];
}
// There, an abort has no reason.
for (const name of ['reason', 'throwIfAborted']) delete AbortSignal.prototype[name];
for (const name of ['any', 'timeout', 'abort']) delete AbortSignal[name];
// Node's own code needs the whole URL.
globalThis.URL = class extends URL {};
for (const name of ['href', 'protocol', 'username', 'password', 'host', 'hostname', 'port', 'pathname', 'search', 'hash']) {
  const { get } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(URL.prototype), name);
  Object.defineProperty(URL.prototype, name, { get, set: () => missing(`URL.${name}`) });
}
globalThis.URLSearchParams = undefined;
Object.defineProperty(Response.prototype, 'body', { value: undefined });
Object.assign(globalThis, { window: globalThis, WebSocket: Socket });

const { followList, followLtm, followMany, Producer, Reader } = await import('../dist/index.js');
const { lazyLtm } = await import('../dist/lazy.js');
const ltm = { fqn: 'app.Agent', key: 'thread/7' };
let services;
const append = (n) => services.ask('POST', '/api/v0/ltm/by-key/app.Agent/thread%2F7/snapshots', { body: { reason: 'execute', merge: { n } } });

before(async () => {
  services = await Services.start();
  await services.ask('POST', '/api/v0/ltm', { body: { ...ltm, state: { n: 0 } } });
});
after(() => services.stop());

test('it follows one LTM, many and the list, and reads', async () => {
  const stop = new AbortController();
  const options = { backoff: { min: 5, max: 100 }, signal: stop.signal };
  const many = followMany(services.url, options);
  const all = [followLtm(services.url, ltm, options), followLtm(services.url, ltm, { ...options, history: false }), many.follow(ltm)];
  const list = followList(services.url, { fqn: ltm.fqn }, options);
  await Promise.all([...all, list].map((each) => untilView(each, ({ status }) => status === 'live')));
  const { cursor } = await append(1);
  const [view] = await Promise.all(all.map((each) => untilView(each, (view) => view.cursor === cursor)));
  const document = await new Reader(services.url).document(ltm);
  sameAsDocument(view, { ...document, rollbacks: [] });
  await untilView(list, ({ rows }) => rows[0].snapshots_count === 2);
  stop.abort();
  await Promise.all([...all, list].map(({ closed }) => closed));
});

test('a follow on the shared socket that is closed before the socket opens leaves the next one alone', async () => {
  const many = followMany(services.url, { backoff: { min: 5, max: 100 } });
  many.follow(ltm).close();
  const one = many.follow(ltm);
  await Promise.resolve();
  one.close();
  await untilView(many.follow(ltm), ({ status }) => status === 'live');
  many.close();
});

test('a component follows, as there is a window', async () => {
  const lazy = lazyLtm(services.url, ltm, () => ({}));
  await new Promise((resolve) => {
    const end = lazy.subscribe(() => lazy.view().status === 'live' && (end(), resolve()));
  });
});

test('a producer needs random numbers, which react-native-get-random-values brings', async () => {
  const producer = new Producer(services.url);
  await assert.rejects(producer.append(ltm, { reason: 'execute', merge: { n: 2 } }), /crypto/);
  globalThis.crypto = { getRandomValues: (array) => crypto.getRandomValues(array) };
  await producer.append(ltm, { reason: 'execute', merge: { n: 2 } });
});
