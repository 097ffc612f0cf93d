// An LTM by its class and key, wherever the client takes an id.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import WebSocket from 'ws';
import { followLtm, followMany, Problem, Producer } from '../dist/index.js';
import { lazyLtm } from '../dist/lazy.js';
import { pathOf } from '../dist/server.js';
import { Services } from './support/services.mjs';
import { untilView } from './support/until.mjs';

const live = (view) => view.status === 'live';

test('a key is two encoded segments of a path', () => {
  assert.equal(pathOf({ fqn: 'app.Agent', key: 'thread/7 é%2F?#' }), 'by-key/app.Agent/thread%2F7%20%C3%A9%252F%3F%23');
  assert.equal(pathOf(18446744073709551615n), '18446744073709551615');
  assert.equal(pathOf('0000000000000000000000007'), '7');
  for (const wrong of ['app.Agent/3f2c', '', 1.5, 2 ** 53, '1 ', 0, '00', -1, '18446744073709551616', '100000000000000000000']) {
    assert.throws(() => pathOf(wrong), TypeError, String(wrong));
  }
});

describe('with services that run', () => {
  let services;
  let producer;
  before(async () => {
    services = await Services.start({});
    producer = new Producer(services.url);
  });
  after(() => services.stop());

  test('a producer gets or creates, writes by key, and reuses the key of a deleted LTM', async () => {
    const ltm = { fqn: 'app.Agent', key: 'thread/7 é' };
    const first = await producer.create({ ...ltm, state: { n: 0 } });
    assert.equal(first.created, true);
    const again = await producer.create({ ...ltm, state: { n: 9 } });
    assert.deepEqual([again.id, again.created], [first.id, false]);
    const { index } = await producer.append(ltm, { reason: 'execute', merge: { n: 1 } });
    assert.equal(index, 1);
    await producer.recordError(ltm, { reason: 'failed' });
    await producer.rollback(ltm, { snapshot: { index: 0 } });
    await fetch(`${services.url}/api/v0/ltm/${pathOf(ltm)}`, { method: 'DELETE' });
    await assert.rejects(producer.create(ltm), (error) => error instanceof Problem && error.status === 410);
    const anew = await producer.create(ltm, { reuse: true });
    assert.equal(anew.created, true);
    assert.notEqual(anew.id, first.id);
  });

  test('an LTM is followed by its key, with its history and without, and its id is exact', async () => {
    const ltm = { fqn: 'app.Agent', key: 'a/b' };
    const { id } = await producer.create({ ...ltm, id: 18446744073709551615n, state: { n: 0 } });
    assert.equal(id, '18446744073709551615');
    for (const history of [true, false]) {
      const following = followLtm(services.url, ltm, { WebSocket, history });
      assert.deepEqual([following.view.id, following.view.key, following.view.fqn], ['', 'a/b', 'app.Agent']);
      const view = await untilView(following, live);
      assert.deepEqual([view.id, view.key], [id, 'a/b']);
      const { cursor } = await producer.append(ltm, { reason: 'execute', merge: { history } });
      const { state } = await untilView(following, (view) => view.cursor === cursor);
      assert.equal(state.history, history);
      following.close();
    }
    const lazy = lazyLtm(services.url, ltm, () => ({ WebSocket }));
    await new Promise((resolve) => {
      const end = lazy.subscribe(() => live(lazy.view()) && (resolve(), end()));
    });
    assert.equal(lazy.view().id, id);
  });

  test('a key that no LTM has fails and says so', async () => {
    const following = followLtm(services.url, { fqn: 'app.Agent', key: 'none' }, { WebSocket });
    await following.closed;
    assert.equal(following.view.status, 'failed');
    assert.equal(following.view.error.status, 404);
  });

  test('many LTMs are followed by their keys on one socket, and the gateway says which is not there', async () => {
    const ltms = [{ fqn: 'app.Agent', key: 'many/1' }, { fqn: 'app.Agent', key: 'many 2' }];
    const ids = [];
    for (const ltm of ltms) ids.push((await producer.create({ ...ltm, state: { n: 0 } })).id);
    const many = followMany(services.url, { WebSocket, history: false });
    const [one, two] = ltms.map((ltm) => many.follow(ltm));
    const none = many.follow({ fqn: 'app.Agent', key: 'no/one' });
    await Promise.all([untilView(one, live), untilView(two, live), none.closed]);
    assert.deepEqual([one.view.id, two.view.id, none.view.error.kind], [...ids, 'unknown-ltm']);
    one.close();
    const again = many.follow(ltms[0]);
    await untilView(again, live);
    for (const ltm of ltms) await producer.append(ltm, { reason: 'execute', merge: { n: 1 } });
    await Promise.all([untilView(again, ({ state }) => state.n === 1), untilView(two, ({ state }) => state.n === 1)]);
    many.close();
  });
});
