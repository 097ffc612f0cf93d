// The promises of a following, with the real services.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import WebSocket from 'ws';
import { followLtm, Producer } from '../dist/index.js';
import { Feed } from '../dist/feed.js';
import { Server } from '../dist/server.js';
import { Proxy } from './support/proxy.mjs';
import { Services } from './support/services.mjs';
import { until, untilView } from './support/until.mjs';
import { sameAsDocument, writeEverything } from './support/view.mjs';

const backoff = { min: 5, max: 100 };
const options = { WebSocket, backoff };
const live = (view) => view.status === 'live';

/** A WebSocket whose messages can be read on the way: they are not compressed. */
class Plain extends WebSocket {
  constructor(url) {
    super(url, { perMessageDeflate: false });
  }
}

describe('with services that run', { concurrency: 4 }, () => {
  let services;
  let producer;
  const create = (state = { n: 0 }) => producer.create({ fqn: 'app.Agent', state }).then(({ id }) => id);

  before(async () => {
    services = await Services.start({ LTM__GATEWAY__MAX_SUBSCRIBERS_PER_LTM: '2' });
    producer = new Producer(services.url);
  });
  after(() => services.stop());

  test('the view is what the document says after each kind of change, and each is told', async () => {
    const id = await create();
    const following = followLtm(services.url, id, options);
    const told = [];
    following.subscribe((view, change) => {
      assert.equal(view, following.view);
      told.push(change.type);
    });
    await untilView(following, live);
    const cursor = await writeEverything(producer, id);
    sameAsDocument(await untilView(following, (view) => view.cursor === cursor), await services.document(id));
    // No document but the first: rollbacks are undone with what is known.
    const step = ['snapshot', 'snapshot', 'error', 'snapshot', 'rollback', 'snapshot', 'rollback', 'error', 'rollback', 'rollback', 'snapshot'];
    assert.deepEqual(told, ['document', 'status', ...step]);
    following.close();
    await following.closed;
    assert.equal(following.view.status, 'closed');

    const copied = await fetch(`${services.url}/api/v0/ltm/${id}/copy`, { method: 'POST' });
    const { copy_id: copy } = await copied.json();
    for (const rollbacks of [false, true]) {
      const ofCopy = followLtm(services.url, copy, { ...options, rollbacks });
      sameAsDocument(await untilView(ofCopy, live), await services.document(copy));
      assert.deepEqual([ofCopy.view.rollbacks.length, ofCopy.view.firstRollback], rollbacks ? [5, 0] : [0, 4]);
      assert.equal(String(ofCopy.view.source_id), String(id));
      // To undo an unknown rollback, the client fetches the document.
      const { cursor } = await producer.rollback(copy, { rollback: { index: 1 } });
      sameAsDocument(await untilView(ofCopy, (view) => view.cursor === cursor), await services.document(copy));
      ofCopy.close();
    }
  });

  test('rollbacks are fetched page by page, and only if asked for', async () => {
    const id = await create();
    for (let n = 0; n < 102; n++) {
      await producer.rollback(id, { snapshot: { index: 0, replay: true } });
      await producer.append(id, { reason: 'execute', state: { n } });
    }
    const asked = [];
    const fetcher = (url, init) => (asked.push(new URL(url).search), fetch(url, init));
    const following = followLtm(services.url, id, { ...options, fetch: fetcher, rollbacks: true });
    const view = await untilView(following, live);
    assert.deepEqual(asked, ['?rollbacks=true&from_rollback=0', '?rollbacks=true&from_rollback=100']);
    assert.deepEqual(view.rollbacks.map(({ state }) => state.n), [0, ...Array(101).keys()]);
    following.close();
    asked.length = 0;
    const plain = followLtm(services.url, id, { ...options, fetch: fetcher });
    assert.deepEqual([(await untilView(plain, live)).firstRollback, asked], [102, ['']]);
    plain.close();
  });

  test('a change leaves the view before it as it was, and shares what stays', async () => {
    const id = await create({ big: { list: [1, { deep: true }] }, n: 0 });
    const following = followLtm(services.url, id, options);
    const first = await untilView(following, live);
    const { cursor } = await producer.append(id, { reason: 'execute', merge: { n: 1 } });
    const second = await untilView(following, (view) => view.cursor === cursor);
    assert.deepEqual([first.state.n, second.state.n], [0, 1]);
    assert.equal(second.state.big, first.state.big);
    assert.equal(second.snapshots[0], first.snapshots[0]);
    assert.equal(first.snapshots.length, 1);
    assert.equal(second.errors, first.errors);
    following.close();
  });

  test('a client that reaches a gateway and no API goes on after an outage', async () => {
    const id = await create();
    const proxy = await Proxy.start(services.url);
    let asked = 0;
    // What a gateway answers at a path of the API.
    const problem = JSON.stringify({ type: 'urn:ltm-live:problem:not-found', title: 'Path not found', status: 404 });
    const gateway = async () => (asked++, new Response(problem, { status: 404 }));
    const following = followLtm(proxy.url, id, { ...options, history: false, fetch: gateway });
    await untilView(following, live);
    proxy.refuses = () => true;
    proxy.cut();
    await until(() => asked > 0);
    const opened = proxy.opened;
    await until(() => proxy.opened > opened);
    const { cursor } = await producer.append(id, { reason: 'execute', merge: { n: 1 } });
    proxy.refuses = undefined;
    await untilView(following, (view) => view.status === 'live' && view.cursor === cursor);
    following.close();
    await proxy.stop();
  });

  test('without history there is the state, and no document is fetched', async () => {
    const id = await create();
    const asked = [];
    const fetcher = (url, init) => (asked.push(String(url)), fetch(url, init));
    const following = followLtm(services.url, id, { ...options, history: false, fetch: fetcher });
    await untilView(following, live);
    const cursor = await writeEverything(producer, id);
    const view = await untilView(following, (view) => view.cursor === cursor);
    const { state, snapshots_count } = await services.document(id);
    assert.deepEqual([view.state, view.snapshotsCount, view.snapshots], [state, snapshots_count, []]);
    assert.deepEqual(asked, []);
    following.close();
  });

  test('a reader gets each change in order, until it ends', async () => {
    const id = await create();
    const following = followLtm(services.url, id, options);
    const changes = following[Symbol.asyncIterator]();
    await untilView(following, live);
    for (let n = 1; n <= 20; n++) await producer.append(id, { reason: 'execute', merge: { n } });
    const indices = [];
    for await (const change of { [Symbol.asyncIterator]: () => changes }) {
      if (change.type === 'snapshot') indices.push(change.index);
      if (indices.length === 20) break;
    }
    assert.deepEqual(indices, Array.from({ length: 20 }, (_, n) => n + 1));
    const rest = (async () => {
      const types = [];
      for await (const { type } of following) types.push(type);
      return types;
    })();
    await services.ask('DELETE', `/api/v0/ltm/${id}`);
    assert.deepEqual(await rest, ['deleted']);
    assert.deepEqual(await following[Symbol.asyncIterator]().next(), { value: undefined, done: true });
  });

  test('a reader that does not read costs little, and is told that it missed something', async () => {
    const feed = new Feed(() => {});
    for (let index = 0; index < 100_000; index++) feed.push({ type: 'snapshot', index });
    feed.end();
    const read = [];
    for await (const change of { [Symbol.asyncIterator]: () => feed }) read.push(change);
    assert.ok(read.length <= 256);
    assert.deepEqual(read[0], { type: 'reset', reason: 'coalesced' });
    assert.equal(read.at(-1).index, 99_999);
  });

  test('readers that wait at once are served in their order, and all end together', async () => {
    const feed = new Feed(() => {});
    const [one, two, three, four] = [feed.next(), feed.next(), feed.next(), feed.next()];
    feed.push({ type: 'snapshot', index: 1 });
    feed.push({ type: 'snapshot', index: 2 });
    assert.deepEqual([(await one).value.index, (await two).value.index], [1, 2]);
    await feed.return();
    assert.deepEqual([(await three).done, (await four).done], [true, true]);
  });

  test('an LTM that is deleted ends it, also where that happened while nobody looked', async () => {
    const id = await create();
    const proxy = await Proxy.start(services.url);
    const following = followLtm(services.url, id, options);
    const away = followLtm(proxy.url, id, options);
    await Promise.all([untilView(following, live), untilView(away, live)]);
    await proxy.stop();
    await services.ask('DELETE', `/api/v0/ltm/${id}`);
    await following.closed;
    assert.equal(following.view.status, 'deleted');
    assert.deepEqual(following.view.state, { n: 0 });
    const back = await new Promise((resolve) => proxy.server.listen(new URL(proxy.url).port, '127.0.0.1', resolve)).then(() => proxy);
    await away.closed;
    assert.equal(away.view.status, 'deleted');
    await back.stop();
    const late = followLtm(services.url, id, options);
    await late.closed;
    assert.equal(late.view.status, 'deleted');
    const stateOnly = followLtm(services.url, id, { ...options, history: false });
    await stateOnly.closed;
    assert.equal(stateOnly.view.status, 'deleted');
  });

  test('an LTM that is not there fails, and the problem says why', async () => {
    for (const history of [true, false]) {
      const following = followLtm(services.url, 4711, { ...options, history });
      await following.closed;
      assert.deepEqual([following.view.status, following.view.error.kind], ['failed', 'unknown-ltm']);
    }
    for (const wrong of [1.5, -1, 2 ** 60, 'x']) {
      assert.throws(() => followLtm(services.url, wrong, options), TypeError);
    }
  });

  test('where no socket can be opened it says so', { skip: 'WebSocket' in globalThis }, () => {
    assert.throws(() => followLtm(services.url, 1), /'ws'/);
  });

  test('the services may be anywhere', () => {
    const query = { after: '1-2', live: '1' };
    for (const base of ['https://a.example/b/c', 'https://a.example/b/c/', 'https://a.example/b/c?d#e']) {
      assert.equal(new Server(base).url('ws/1', query), 'https://a.example/b/c/ws/1?after=1-2&live=1');
    }
    assert.equal(new Server('http://a.example').url('api/v0/ltm/1?rollbacks=true'), 'http://a.example/api/v0/ltm/1?rollbacks=true');
  });

  test('it ends although a token never comes', async () => {
    const following = followLtm(services.url, 1, { ...options, token: () => new Promise(() => {}) });
    following.close();
    await following.closed;
    assert.equal(following.view.status, 'closed');
  });

  test('what a listener throws keeps nothing from anybody', async () => {
    const id = await create();
    const script = `
      import WebSocket from 'ws';
      import { followLtm } from 'ltm-live';
      process.on('uncaughtException', ({ message }) => console.log('thrown', message));
      const following = followLtm('${services.url}', ${id}, { WebSocket });
      following.subscribe(() => {
        throw new Error('by the listener');
      });
      following.subscribe(({ status }) => {
        console.log(status);
        if (status === 'live') following.close();
      });
    `;
    const args = ['--input-type=module', '--eval', script];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: new URL('..', import.meta.url) });
    assert.match(stdout, /^(connecting|live|closed|thrown by the listener|\n)+$/);
    for (const status of ['connecting', 'live', 'closed']) assert.ok(stdout.includes(status), stdout);
    assert.equal(stdout.match(/thrown/g).length, 3, stdout);
  });

  test('a signal ends it', async () => {
    const stop = new AbortController();
    const following = followLtm(services.url, await create(), { ...options, signal: stop.signal });
    await untilView(following, live);
    stop.abort();
    await following.closed;
    assert.equal(following.view.status, 'closed');
    const never = followLtm(services.url, 1, { ...options, signal: stop.signal });
    await never.closed;
    assert.equal(never.view.status, 'closed');
  });

  test('who is one too many waits, and follows once there is room', async () => {
    const id = await create();
    const two = [followLtm(services.url, id, options), followLtm(services.url, id, options)];
    await Promise.all(two.map((one) => untilView(one, live)));
    const third = followLtm(services.url, id, options);
    const view = await untilView(third, ({ error }) => error);
    assert.match(view.error.detail, /1013/);
    assert.equal(view.status, 'connecting');
    two[0].close();
    assert.equal((await untilView(third, live)).error, undefined);
    [...two, third].forEach((one) => one.close());
  });

  test('after each cut of the connection the view is what the document says', async () => {
    let bytes = -23;
    // The number of bytes differs from run to run: the compression of a message depends on the messages before it.
    const workers = Array.from({ length: 4 }, async () => {
      while (await isCut((bytes += 23)));
    });
    await Promise.all(workers);
    assert.ok(bytes > 1500, `only ${bytes}`);
  });

  /** Cuts the connection after so many bytes. Returns false if fewer came. */
  async function isCut(bytes) {
    const id = await create();
    const proxy = await Proxy.start(services.url);
    proxy.cutAfter(bytes);
    const following = followLtm(proxy.url, id, options);
    try {
      if (bytes === 0 || bytes > 1000) await untilView(following, live);
      const cursor = await writeEverything(producer, id);
      const view = await untilView(following, (view) => view.cursor === cursor && view.status === 'live');
      sameAsDocument(view, await services.document(id));
      return proxy.wasCut;
    } finally {
      following.close();
      await following.closed;
      await proxy.stop();
    }
  }

  test('a message that does not fit is not applied: it fetches again', async () => {
    for (const history of [true, false]) {
      const id = await create({ one: 1, two: { kept: true } });
      const proxy = await Proxy.start(services.url);
      const following = followLtm(proxy.url, id, { ...options, WebSocket: Plain, history });
      const { two } = (await untilView(following, live)).state;
      const states = [];
      following.subscribe(({ state }) => states.push(JSON.stringify(state)));
      proxy.change = (data) => {
        const text = data.toString('latin1');
        if (!text.includes('"/one"')) return data;
        proxy.change = undefined;
        return Buffer.from(text.replace('"/one"', '"/owe"'), 'latin1');
      };
      const { cursor } = await producer.append(id, { reason: 'execute', merge: { one: 2 } });
      const view = await untilView(following, (view) => view.cursor === cursor && view.status === 'live');
      assert.equal(proxy.change, undefined);
      assert.deepEqual(view.state, { one: 2, two: { kept: true } });
      assert.equal(view.state.two, two, 'what was fetched again is shared, too');
      const right = ['{"one":1,"two":{"kept":true}}', '{"one":2,"two":{"kept":true}}'];
      assert.ok(states.every((state) => right.includes(state)), states.join());
      if (history) sameAsDocument(view, await services.document(id));
      following.close();
      await proxy.stop();
    }
  });

  test('a connection that is silently dead is found out', async () => {
    const id = await create();
    const proxy = await Proxy.start(services.url);
    const following = followLtm(proxy.url, id, { ...options, watchdog: 200 });
    await untilView(following, live);
    const { opened } = proxy;
    proxy.freezeSockets();
    const { cursor } = await producer.append(id, { reason: 'execute', merge: { n: 1 } });
    await untilView(following, (view) => view.cursor === cursor);
    assert.ok(proxy.opened > opened);
    following.close();
    await proxy.stop();
  });

  test('an LTM that is deleted while the connection is silently dead ends it', async () => {
    for (const history of [true, false]) {
      const id = await create();
      const proxy = await Proxy.start(services.url);
      const following = followLtm(proxy.url, id, { ...options, watchdog: 200, history });
      await untilView(following, live);
      proxy.freezeSockets();
      await producer.delete(id);
      await untilView(following, ({ status }) => status === 'deleted');
      await proxy.stop();
    }
  });

  test('where retention was faster, the history is fetched again', async () => {
    const { id } = await producer.create({ fqn: 'app.Agent', state: { n: 0 }, retention: { max_entries: 4 } });
    const proxy = await Proxy.start(services.url);
    const following = followLtm(proxy.url, id, options);
    const changes = [];
    following.subscribe((_, change) => changes.push(change));
    await untilView(following, live);
    proxy.refuses = () => true;
    proxy.cut();
    let cursor;
    await until(async () => {
      for (let n = 0; n < 100; n++) ({ cursor } = await producer.append(id, { reason: 'execute', merge: { n } }));
      return (await services.document(id)).first_index > 1;
    });
    proxy.refuses = undefined;
    const view = await untilView(following, (view) => view.cursor === cursor && view.status === 'live');
    assert.ok(changes.some(({ type, reason }) => type === 'reset' && reason === 'trimmed'));
    sameAsDocument(view, await services.document(id));
    assert.ok(view.firstIndex > 0);
    following.close();
    await proxy.stop();
  });
});

describe('with services that come and go', () => {
  test('a restart, by a signal or by force, costs nothing', async () => {
    const services = await Services.start();
    const producer = new Producer(services.url, { backoff, tries: 1000 });
    const { id } = await producer.create({ fqn: 'app.Agent', state: { n: 0 } });
    const following = followLtm(services.url, id, options);
    const statuses = [];
    following.subscribe((_, { type, status }) => type === 'status' && statuses.push(status));
    await untilView(following, live);
    for (const end of ['terminate', 'kill']) {
      const writing = writeEverything(producer, id);
      await services[end]();
      await untilView(following, ({ status }) => status === 'reconnecting');
      await services.run();
      // The producer goes on by itself, and each call landed once.
      const cursor = await writing;
      const view = await untilView(following, (view) => view.cursor === cursor && view.status === 'live');
      sameAsDocument(view, await services.document(id));
    }
    assert.equal(following.view.cursor.split('-')[0], String(1 + 2 * 11));
    assert.ok(statuses.includes('reconnecting'));
    following.close();
    await services.stop();
  });

  test('another log under the same id replaces everything', async () => {
    const services = await Services.start();
    const producer = new Producer(services.url, { backoff, tries: 1000 });
    const write = async (state) => {
      const { id } = await producer.create({ fqn: 'app.Agent', state });
      for (let n = 1; n <= 3; n++) await producer.append(id, { reason: 'execute', merge: { n } });
      return id;
    };
    const id = await write({ first: true });
    const proxy = await Proxy.start(services.url);
    const following = followLtm(proxy.url, id, options);
    const stateOnly = followLtm(proxy.url, id, { ...options, history: false });
    const changes = [];
    following.subscribe((_, { type, reason }) => changes.push(`${type} ${reason}`));
    await Promise.all([untilView(following, live), untilView(stateOnly, live)]);
    proxy.refuses = () => true;
    proxy.cut();
    await services.terminate();
    rmSync(join(services.folder, 'data'), { recursive: true });
    await services.run();
    assert.equal(await write({ second: true }), id);
    proxy.refuses = undefined;
    const second = ({ state, status }) => state.second && state.n === 3 && status === 'live';
    sameAsDocument(await untilView(following, second), await services.document(id));
    assert.deepEqual((await untilView(stateOnly, second)).state, { second: true, n: 3 });
    assert.ok(changes.includes('reset forked'), changes.join());
    following.close();
    stateOnly.close();
    await proxy.stop();
    await services.stop();
  });
});

test('after a later reset the view stays live, and `live` is told once', async () => {
  let socket;
  class Scripted {
    constructor() {
      socket = this;
      queueMicrotask(() => this.onopen());
    }
    close() {}
  }
  const following = followLtm('http://127.0.0.1:9', 1, { ...options, WebSocket: Scripted, history: false });
  const told = [];
  following.subscribe((_, { type }) => told.push(type));
  await until(() => socket?.onmessage);
  const say = (cursor, message) => socket.onmessage({ data: JSON.stringify({ id: 1, cursor, ...message }) });
  const reset = (reason, n) => ({ reset: { reason, state: { n }, snapshots_count: 1 } });
  say('1-1', reset('requested', 0));
  say('1-1', { live: true });
  say('1-2', reset('forked', 1));
  say('1-2', { live: true });
  const { status, cursor, state } = following.view;
  assert.deepEqual({ status, cursor, state }, { status: 'live', cursor: '1-2', state: { n: 1 } });
  assert.deepEqual(told, ['reset', 'status', 'reset']);
  following.close();
});
