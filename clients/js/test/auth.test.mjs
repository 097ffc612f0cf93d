// Tokens: how they are shown, and what happens when they expire.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import Socket from 'ws';
import { followList, followLtm, Producer, Reader } from '../dist/index.js';
import { Guarded } from './support/guarded.mjs';
import { Proxy } from './support/proxy.mjs';
import { until, untilView } from './support/until.mjs';
import { sameAsDocument, writeEverything } from './support/view.mjs';

const backoff = { min: 5, max: 100 };
const live = (view) => view.status === 'live';

describe('with services that ask who calls', { concurrency: 4 }, () => {
  let guarded;
  const create = async () => Number((await guarded.producer.create({ fqn: 'app.Agent', state: { n: 0 } })).id);

  before(async () => {
    guarded = await Guarded.start();
  });
  after(() => guarded.stop());

  test('when a token expires it goes on with another, and nothing is missed', async () => {
    const id = await create();
    const given = [];
    const token = async () => (given.push(guarded.token(id, 'read', 2)), given.at(-1));
    const urls = [];
    class WebSocket extends Socket {
      constructor(url) {
        super(url);
        urls.push(url);
      }
    }
    const following = followLtm(guarded.url, id, { WebSocket, backoff, token });
    const indices = [];
    following.subscribe((view, change) => {
      if (change.type === 'snapshot') indices.push(change.index);
    });
    await untilView(following, live);
    let n = 0;
    for (let expiries = 0; expiries < 2; expiries++) {
      await untilView(following, ({ error }) => error?.kind === 'unauthenticated');
      n++;
      await guarded.producer.append(id, { reason: 'execute', merge: { n } });
      await untilView(following, ({ state, status }) => status === 'live' && state.n === n);
    }
    assert.deepEqual(indices, [1, 2]);
    assert.ok(given.length >= 3);
    const cursor = await writeEverything(guarded.producer, id);
    const view = await untilView(following, (view) => view.cursor === cursor);
    sameAsDocument(view, await guarded.services.document(id, guarded.admin));
    assert.ok(urls.every((url) => url.includes('ticket=') && !given.some((token) => url.includes(token))));
    following.close();
  });

  test('who may not follow is told why', async () => {
    const id = await create();
    const cases = [
      [undefined, 'unauthenticated'],
      ['garbage', 'unauthenticated'],
      [guarded.token(id, 'read', -5), 'unauthenticated'],
      [guarded.token(id + 1, 'read', 60), 'forbidden'],
      [() => guarded.token(id, 'read', -5), 'unauthenticated'],
    ];
    const initial = await new Reader(guarded.url, { token: guarded.admin }).document(id);
    for (const more of [{ history: true }, { history: false }, { initial }, { initial, history: false }]) {
      for (const [token, kind] of cases) {
        const following = followLtm(guarded.url, id, { WebSocket: Socket, backoff, token, ...more });
        const { status, error } = await untilView(following, ({ status }) => status === 'failed');
        assert.deepEqual([status, error.kind], ['failed', kind]);
      }
    }
  });

  test('who may not follow any more after a cut is told why', async () => {
    const id = await create();
    for (const history of [true, false]) {
      const proxy = await Proxy.start(guarded.url);
      const tokens = [guarded.token(id, 'read', 60)];
      const token = () => tokens.shift() ?? guarded.token(id + 1, 'read', 60);
      const following = followLtm(proxy.url, id, { WebSocket: Socket, backoff, token, history });
      await untilView(following, live);
      proxy.cut();
      assert.equal((await untilView(following, ({ status }) => status === 'failed')).error.kind, 'forbidden');
      await proxy.stop();
    }
  });

  const followers = {
    'an LTM': (url, { id }, options) => [followLtm(url, id, options), () => guarded.producer.append(id, { reason: 'execute', merge: { n: 1 } })],
    'a list': (url, { fqn }, options) => [followList(url, { fqn }, options), () => guarded.producer.create({ fqn })],
  };
  for (const [what, follow] of Object.entries(followers)) {
    test(`a connection of ${what} that is silently dead is found out although the token has expired`, async () => {
      const fqn = `app.${what.replaceAll(' ', '')}`;
      const { id } = await guarded.producer.create({ fqn, state: { n: 0 } });
      const proxy = await Proxy.start(guarded.url);
      const tokens = [guarded.token('*', 'read', 2)];
      const statuses = [];
      const fetcher = async (url, init) => {
        const response = await fetch(url, init);
        statuses.push(response.status);
        return response;
      };
      const options = { WebSocket: Socket, backoff, fetch: fetcher, watchdog: 200, token: () => tokens.shift() ?? guarded.admin };
      const [following, write] = follow(proxy.url, { id, fqn }, options);
      await untilView(following, live);
      proxy.freezeSockets();
      // The close of the gateway does not arrive, so the API is the first to say it.
      await until(() => statuses.includes(401));
      await write();
      await untilView(following, ({ state, rows }) => state?.n === 1 || rows?.length === 2);
      following.close();
      await proxy.stop();
    });
  }

  test('the code of a close decides whether it goes on', async () => {
    const id = await create();
    const closing = (code) =>
      class {
        constructor() {
          setTimeout(() => {
            this.onopen({});
            this.onclose({ code, reason: 'why' });
          });
        }
        close() {}
      };
    const token = guarded.token(id, 'read', 60);
    for (const [code, given, kind] of [
      [4401, token, 'unauthenticated'],
      [4403, token, 'forbidden'],
      [4403, () => token, 'forbidden'],
    ]) {
      const options = { WebSocket: closing(code), EventSource: false, backoff, token: given };
      const following = followLtm(guarded.url, id, options);
      await following.closed;
      const { status, error } = following.view;
      assert.deepEqual([status, error.kind, error.detail], ['failed', kind, 'why']);
    }
  });

  test('a function that gave an old token is asked again', async () => {
    const id = await create();
    const tokens = [guarded.token('*', 'admin', -5), guarded.admin];
    const token = () => tokens.shift() ?? guarded.admin;
    const following = followLtm(guarded.url, id, { WebSocket: Socket, backoff, token });
    await untilView(following, live);
    following.close();
    tokens.push(guarded.token('*', 'admin', -5));
    const producer = new Producer(guarded.url, { token, backoff });
    assert.equal((await producer.append(id, { reason: 'execute', merge: { n: 1 } })).index, 1);
    const refused = new Producer(guarded.url, { token: 'garbage', backoff });
    await assert.rejects(refused.append(id, { reason: 'execute', merge: { n: 1 } }), { kind: 'unauthenticated' });
  });
});
