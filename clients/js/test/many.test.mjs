// Many LTMs on one socket: each is followed as if it had its own.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import Socket from 'ws';
import { followMany, Producer } from '../dist/index.js';
import { EventSource } from './support/event-source.mjs';
import { Guarded } from './support/guarded.mjs';
import { Proxy } from './support/proxy.mjs';
import { Services } from './support/services.mjs';
import { until, untilView } from './support/until.mjs';
import { sameAsDocument, writeEverything } from './support/view.mjs';

const backoff = { min: 5, max: 100 };
const live = (view) => view.status === 'live';
const isSocket = (data) => /^upgrade: websocket\r$/im.test(data.toString('latin1'));

/** A WebSocket that counts how many of it are open, and the most that ever were. */
function counted() {
  return class extends Socket {
    static urls = [];
    static open = 0;
    static most = 0;
    constructor(url) {
      super(url);
      const all = new.target;
      all.urls.push(url);
      all.most = Math.max(all.most, ++all.open);
      this.on('close', () => all.open--);
    }
  };
}

describe('with services that run', { concurrency: 4 }, () => {
  let services;
  let producer;
  const create = async (count, state = { n: 0 }) => {
    const ids = [];
    while (ids.length < count) ids.push((await producer.create({ fqn: 'app.Agent', state })).id);
    return ids;
  };

  before(async () => {
    services = await Services.start();
    producer = new Producer(services.url);
  });
  after(() => services.stop());

  test('each view is what the document says, after cuts of the one socket too', async () => {
    const ids = await create(5);
    const proxy = await Proxy.start(services.url);
    const WebSocket = counted();
    const many = followMany(proxy.url, { WebSocket, backoff });
    const all = ids.map((id) => many.follow(id));
    await Promise.all(all.map((one) => untilView(one, live)));
    assert.equal(WebSocket.urls.length, 1);
    for (const bytes of [300, 1000, 4000, Infinity]) {
      proxy.cutAfter(bytes);
      const cursors = await Promise.all(ids.map((id) => writeEverything(producer, id)));
      await Promise.all(all.map((one, n) => untilView(one, (view) => view.cursor === cursors[n] && live(view))));
      for (const [n, id] of ids.entries()) sameAsDocument(all[n].view, await services.document(id));
    }
    assert.equal(WebSocket.most, 1);
    many.close();
    await Promise.all(all.map(({ closed }) => closed));
    assert.deepEqual(all.map(({ view }) => view.status), Array(5).fill('closed'));
    await until(() => WebSocket.open === 0);
    await proxy.stop();
  });

  test('one that is left and followed again among many messages gets none twice and none too late', async () => {
    const [id, other] = await create(2);
    const many = followMany(services.url, { WebSocket: Socket, backoff });
    await untilView(many.follow(other), live);
    let writing = true;
    const writer = (async () => {
      let last;
      for (let n = 1; writing; n++) last = await producer.append(id, { reason: 'execute', merge: { n } });
      return last.cursor;
    })();
    const problems = [];
    for (let round = 0; round < 20; round++) {
      const one = many.follow(id, { history: round % 2 === 0 });
      let before = -1;
      one.subscribe(({ state, error }, { type }) => {
        if (error) problems.push(error.detail);
        if (type === 'snapshot' && state.n !== before + 1 && before >= 0) problems.push(`${state.n} after ${before}`);
        if (state) before = state.n;
      });
      await untilView(one, live);
      one.close();
      assert.equal(one.view.status, 'closed');
    }
    writing = false;
    const cursor = await writer;
    const one = many.follow(id);
    sameAsDocument(await untilView(one, (view) => view.cursor === cursor && live(view)), await services.document(id));
    assert.equal(many.follow(id), one);
    assert.deepEqual(problems, []);
    many.close();
  });

  test('what happens to one leaves the others alone', async () => {
    const [kept, deleted] = await create(2);
    const WebSocket = counted();
    const many = followMany(services.url, { WebSocket, backoff, history: false });
    const [one, two, none] = [many.follow(kept), many.follow(deleted), many.follow(4711)];
    await Promise.all([untilView(one, live), untilView(two, live), none.closed]);
    assert.deepEqual([none.view.status, none.view.error.kind, none.view.state], ['failed', 'unknown-ltm', undefined]);
    await producer.delete(deleted);
    await two.closed;
    assert.equal(two.view.status, 'deleted');
    await producer.append(kept, { reason: 'execute', merge: { n: 1 } });
    await untilView(one, ({ state }) => state.n === 1);
    assert.equal(WebSocket.urls.length, 1);
    one.close();
    // After the last one, the socket closes; the next one opens another.
    await until(() => WebSocket.open === 0);
    await untilView(many.follow(kept), live);
    assert.equal(WebSocket.urls.length, 2);
    many.close();
  });

  test('nothing is kept of an LTM that was followed by its key and has ended', async () => {
    const [kept] = await create(1);
    const many = followMany(services.url, { WebSocket: Socket, backoff, history: false });
    const one = many.follow(kept);
    await untilView(one, live);
    for (const key of ['run-1', 'run-2']) {
      await producer.create({ fqn: 'app.Agent', key, state: { n: 0 } });
      const run = many.follow({ fqn: 'app.Agent', key });
      await untilView(run, live);
      await producer.delete({ fqn: 'app.Agent', key });
      await run.closed;
      assert.equal(run.view.status, 'deleted');
    }
    const { names, leaving, targets } = one.channel;
    await until(() => names.size + leaving.size === 0);
    assert.deepEqual([...targets.keys()], [kept]);
    many.close();
  });

  test('large ids keep their digits', async () => {
    const { id } = await producer.create({ fqn: 'app.Agent', state: { n: 0 }, id: '9007199254740993' });
    assert.equal(id, '9007199254740993');
    const many = followMany(services.url, { WebSocket: Socket, backoff });
    const view = await untilView(many.follow(9007199254740993n), live);
    assert.equal(view.id, '9007199254740993');
    many.close();
  });

  test('where no WebSocket opens, each has an event stream, and the cuts of those cost nothing', async () => {
    const ids = await create(3);
    const proxy = await Proxy.start(services.url);
    proxy.refuses = isSocket;
    EventSource.opened = [];
    const many = followMany(proxy.url, { WebSocket: Socket, EventSource, backoff });
    const all = ids.map((id) => many.follow(id));
    await Promise.all(all.map((one) => untilView(one, live)));
    assert.deepEqual(EventSource.opened.map((url) => /sse\/(\d+)/.exec(url)[1]).sort(), [...ids].sort());
    proxy.cutAfter(700);
    const cursors = await Promise.all(ids.map((id) => writeEverything(producer, id)));
    await Promise.all(all.map((one, n) => untilView(one, (view) => view.cursor === cursors[n] && live(view))));
    for (const [n, id] of ids.entries()) sameAsDocument(all[n].view, await services.document(id));
    assert.ok(proxy.wasCut);
    many.close();
    await proxy.stop();
  });

  test('a socket that is silently dead is found out, and one other takes its place', async () => {
    const ids = await create(3);
    const proxy = await Proxy.start(services.url);
    const WebSocket = counted();
    const many = followMany(proxy.url, { WebSocket, backoff, watchdog: 2000 });
    const all = ids.map((id) => many.follow(id));
    await Promise.all(all.map((one) => untilView(one, live)));
    proxy.freezeSockets();
    const cursors = await Promise.all(ids.map(async (id) => (await producer.append(id, { reason: 'execute', merge: { n: 1 } })).cursor));
    await Promise.all(all.map((one, n) => untilView(one, (view) => view.cursor === cursors[n] && live(view))));
    many.close();
    await proxy.stop();
  });
});

test('when the token expires, all go on with another on one socket', async () => {
  const guarded = await Guarded.start();
  const ids = [];
  while (ids.length < 3) ids.push((await guarded.producer.create({ fqn: 'app.Agent', state: { n: 0 } })).id);
  const WebSocket = counted();
  let asked = 0;
  const token = () => guarded.token('*', 'read', asked++ ? 600 : 2);
  const many = followMany(guarded.url, { WebSocket, backoff, token });
  const first = many.follow(ids[0]);
  await untilView(first, live);
  const all = [first, ...ids.slice(1).map((id) => many.follow(id))];
  await untilView(first, (view) => /expired/.test(view.error?.detail));
  const cursors = await Promise.all(ids.map((id) => writeEverything(guarded.producer, id)));
  await Promise.all(all.map((one, n) => untilView(one, (view) => view.cursor === cursors[n] && live(view))));
  assert.equal(WebSocket.most, 1);
  many.close();
  const refused = followMany(guarded.url, { WebSocket, backoff, token: 'wrong' });
  const none = refused.follow(ids[0]);
  await none.closed;
  assert.deepEqual([none.view.status, none.view.error.kind], ['failed', 'unauthenticated']);
  await guarded.stop();
});
