// The list: its rows are those of the API, live.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { followList, Producer, Reader } from '../dist/index.js';
import { parseRows, queryOf } from '../dist/filter.js';
import { Proxy } from './support/proxy.mjs';
import { Services } from './support/services.mjs';
import { until, untilView } from './support/until.mjs';

const options = { WebSocket, backoff: { min: 5, max: 100 } };
const live = (view) => view.status === 'live';

let services;
let producer;
let reader;
before(async () => {
  services = await Services.start({ LTM__GATEWAY__LIST_INTERVAL: '20ms' });
  producer = new Producer(services.url);
  reader = new Reader(services.url);
});
after(() => services.stop());

test('the rows are those of the API after each change, and a row that did not change is the same object', async () => {
  const fqn = 'list.Agent';
  const { id } = await producer.create({ fqn, name: 'one', state: {} });
  const list = followList(services.url, { fqn }, options);
  assert.deepEqual([list.view.status, list.view.rows], ['connecting', undefined]);
  const first = await untilView(list, live);
  assert.deepEqual([first.rows.length, first.rows[0].id, first.rows[0].name, first.next], [1, id, 'one', null]);
  const second = await producer.create({ fqn, name: 'two', state: { _status: 'active' } });
  const two = await untilView(list, ({ rows }) => rows.length === 2);
  assert.deepEqual(two.rows.map((row) => row.id), [second.id, id]);
  assert.equal(two.rows[1], first.rows[0]);
  const changes = [];
  list.subscribe((_, change) => changes.push(change));
  await producer.append(id, { reason: 'execute', merge: { _status: 'finished' } });
  await untilView(list, ({ rows }) => rows[1].status === 'finished');
  assert.deepEqual((await reader.list({ fqn })).rows, list.view.rows);
  await producer.delete(second.id);
  await untilView(list, ({ rows }) => rows.length === 1);
  assert.ok(changes.some(({ type, removed }) => type === 'change' && removed?.includes(second.id)));
  list.close();
  await list.closed;
});

test('after each cut of the connection the rows are those of the API', async () => {
  const fqn = 'list.Cut';
  for (let bytes = 0, cut = true; cut; bytes += 150) {
    const proxy = await Proxy.start(services.url);
    const list = followList(proxy.url, { fqn, limit: 5 }, options);
    await untilView(list, live);
    proxy.cutAfter(bytes);
    const { id } = await producer.create({ fqn, state: {} });
    await producer.append(id, { reason: 'execute', merge: { _status: 'active' } });
    await untilView(list, (view) => live(view) && view.rows.some((row) => row.id === id && row.status === 'active'));
    assert.deepEqual(list.view.rows, (await reader.list({ fqn, limit: 5 })).rows);
    assert.equal(list.view.next, (await reader.list({ fqn, limit: 5 })).next);
    cut = proxy.wasCut;
    list.close();
    await proxy.stop();
  }
});

test('a list that is silently dead is found out, and one that is only silent is left alone', async () => {
  const fqn = 'list.Dead';
  const proxy = await Proxy.start(services.url);
  const list = followList(proxy.url, { fqn }, { ...options, watchdog: 300 });
  await untilView(list, live);
  const statuses = [];
  list.subscribe(({ status }) => statuses.push(status));
  const { opened } = proxy;
  await until(() => proxy.opened > opened);
  assert.deepEqual(statuses, []);
  proxy.freezeSockets();
  const { id } = await producer.create({ fqn, state: {} });
  await untilView(list, (view) => live(view) && view.rows[0]?.id === id);
  list.close();
  await proxy.stop();
});

test('a page that a server fetched is the first view, and a refused filter says why', async () => {
  const fqn = 'list.Initial';
  const { id } = await producer.create({ fqn, state: {} });
  const page = await reader.list({ fqn });
  const list = followList(services.url, { fqn }, { ...options, initial: page });
  assert.deepEqual([list.view.status, list.view.rows], ['connecting', page.rows]);
  const { rows } = await untilView(list, live);
  assert.equal(rows, page.rows);
  assert.equal(rows[0].id, id);
  list.close();
  const wrong = followList(services.url, { limit: 5000 }, options);
  await wrong.closed;
  assert.deepEqual([wrong.view.status, wrong.view.error.kind, wrong.view.error.field], ['failed', 'invalid-request', 'limit']);
});

test('pages of the list follow each other, and large ids keep their digits', async () => {
  const fqn = 'list.Pages';
  const ids = [];
  for (let n = 0; n < 5; n++) ids.unshift((await producer.create({ fqn, state: {} })).id);
  ids.unshift((await producer.create({ fqn, state: {}, id: 9007199254740995n })).id);
  ids.unshift((await producer.create({ fqn, state: {}, id: '9007199254740997' })).id);
  const seen = [];
  for await (const row of reader.all({ fqn, limit: 2 })) seen.push(row.id);
  assert.deepEqual(seen, ids);
  const { next } = await reader.list({ fqn, limit: 1 });
  assert.equal(next, '9007199254740997');
  const list = followList(services.url, { fqn, before: next, limit: 3 }, options);
  const view = await untilView(list, live);
  assert.deepEqual(view.rows.map((row) => row.id), ids.slice(1, 4));
  list.close();
});

test('a filter becomes the parameters of the API, and only ids become text', () => {
  const date = new Date('2026-01-31T12:00:00Z');
  assert.deepEqual(queryOf({ status: ['error', 'active'], created_after: date, has_errors: false, before: 7n, limit: undefined }), {
    status: 'error,active',
    created_after: '2026-01-31T12:00:00.000Z',
    has_errors: 'false',
    before: '7',
  });
  const name = '"id":1,"removed":[2]';
  const text = `{"reset":{"rows":[{"id":18446744073709551615,"name":${JSON.stringify(name)}}],"next":null,"removed":[1,9007199254740993]}}`;
  assert.deepEqual(parseRows(text), {
    reset: { rows: [{ id: '18446744073709551615', name }], next: null, removed: ['1', '9007199254740993'] },
  });
});
