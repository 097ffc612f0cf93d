// Puts HAProxy, nginx and Envoy in front of the services, each with its configuration of the repository, and follows through
// them: with a browser's EventSource, and with the client.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import Socket from 'ws';
import { followList, followLtm, followMany, Producer } from '../../dist/index.js';
import { Browser } from '../support/browser.mjs';
import { until, untilView } from '../support/until.mjs';
import { sameAsDocument } from '../support/view.mjs';
import { Deployment, proxies } from './deployment.mjs';

const ltm = { fqn: 'app.Agent', key: 'thread/7' };
const path = 'by-key/app.Agent/thread%2F7';
const deployment = await Deployment.start();
const producer = new Producer(deployment.url);
const browser = await Browser.start();
let n = 0;
const write = () => producer.append(ltm, { reason: 'execute', merge: { n: ++n } });
const document = async () => (await fetch(`${deployment.url}/api/v0/ltm/${path}`)).json();
await producer.create({ ...ltm, state: { n } });

after(async () => {
  await browser.stop();
  await deployment.stop();
});

/** Opens an EventSource in a page that notes each number that comes; with `again`, as docs/guide-app.md says. */
async function openEvents(url, again) {
  const page = await browser.page();
  await page.evaluate(
    ([address, again]) => {
      window.numbers = [];
      window.failures = 0;
      let last;
      const open = (query) => {
        window.source = new EventSource(`${address}?${query}`);
        window.source.onmessage = ({ data }) => {
          const { cursor, reset, snapshot } = JSON.parse(data);
          last = cursor;
          const value = reset ? reset.state.n : snapshot?.patch[0].value;
          if (value !== undefined) window.numbers.push(value);
        };
        window.source.onerror = () => {
          window.failures++;
          if (again && window.source.readyState === EventSource.CLOSED) setTimeout(open, 200, last ? `after=${last}` : 'init=state');
        };
      };
      open('init=state');
    },
    [`${url}/sse/${path}`, again],
  );
  return {
    shows: (number) => page.waitForFunction((number) => window.numbers.at(-1) === number, number),
    numbers: () => page.evaluate(() => window.numbers),
    failures: () => page.evaluate(() => window.failures),
    close: () => page.close(),
  };
}

for (const name of Object.keys(proxies)) {
  describe(name, () => {
    let url;
    let client;
    let events;
    let first;
    const options = { WebSocket: Socket, backoff: { min: 20, max: 500 } };

    /** Writes, and waits until everybody has it: each number once, in order. */
    const check = async () => {
      const { cursor } = await write();
      await events.shows(n);
      sameAsDocument(await untilView(client, (view) => view.status === 'live' && view.cursor === cursor), { ...(await document()), rollbacks: [] });
      assert.deepEqual(await events.numbers(), Array.from({ length: n - first + 1 }, (_, at) => first + at));
    };

    before(async () => {
      url = await deployment.proxy(name);
    });
    after(async () => {
      client?.close();
      await events?.close();
      await deployment.end(name, 'SIGKILL');
    });

    test('streams pass at once, and as they are', async () => {
      first = n;
      client = followLtm(url, ltm, options);
      events = await openEvents(url, true);
      await events.shows(n);
      await untilView(client, ({ status }) => status === 'live');
      await check();
      const stop = new AbortController();
      const headers = { 'Accept-Encoding': 'gzip, br, zstd' };
      for (const sse of ['sse/ltms', `sse/${path}?init=state`, `api/v0/sse/${path}?init=state`]) {
        const answer = await fetch(`${url}/${sse}`, { headers, signal: stop.signal });
        assert.equal(answer.headers.get('Cache-Control'), 'no-store, no-transform', sse);
        assert.equal(answer.headers.get('Content-Encoding'), null, sse);
        const { value } = await answer.body.pipeThrough(new TextDecoderStream()).getReader().read();
        assert.match(value, /^(id|:|data)/, sse);
      }
      stop.abort();
    });

    test('many LTMs, the list, and the query of an EventSource for older browsers', async () => {
      const many = followMany(url, options);
      const list = followList(url, {}, options);
      await untilView(many.follow(ltm), ({ state }) => state?.n === n);
      await untilView(list, ({ rows }) => rows?.some(({ key }) => key === ltm.key));
      many.close();
      list.close();
      const { cursor } = await write();
      await write();
      await events.shows(n);
      const stop = new AbortController();
      const answer = await fetch(`${url}/sse/${path}?after=0&lastEventId=${cursor}`, { signal: stop.signal });
      let text = '';
      for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        if (/^data/m.test(text)) break;
      }
      assert.match(text, new RegExp(`"value":${n}\\b`));
      stop.abort();
    });

    test('a gateway is killed: both go on at the other one, with their cursors', async () => {
      for (const at of [0, 1]) {
        await deployment.end(`gateway${at}`, 'SIGKILL');
        await check();
        await deployment.startGateway(at);
      }
    });

    test('a gateway drains: its subscribers go to the other one', async () => {
      const busy = (await deployment.subscribers(0)) ? 0 : 1;
      const writing = (async () => {
        for (let round = 0; round < 20; round++) await write();
      })();
      await deployment.end(`gateway${busy}`, 'SIGTERM');
      await writing;
      await check();
      await deployment.startGateway(busy);
    });

    test('no gateway is left, and then there is one again: pages come back', async () => {
      await Promise.all([0, 1].map((at) => deployment.end(`gateway${at}`, 'SIGKILL')));
      assert.equal((await fetch(`${url}/ws/${path}`)).status, name === 'nginx' ? 502 : 503);
      // Envoy answers 503 in any case, after which an EventSource is closed: the page opens another. The other two end the
      // connection as soon as they know that no gateway is there.
      const reopens = name === 'envoy';
      if (!reopens) await until(() => fetch(`${url}/sse/${path}`).then(() => false, () => true));
      const late = await openEvents(url, reopens);
      await until(() => client.view.status === 'reconnecting');
      await until(async () => (await late.failures()) > 0);
      await write();
      await deployment.startGateway(0);
      await check();
      await late.shows(n);
      await late.close();
      await deployment.startGateway(1);
    });

    test('its log has no query, which can have a token', async () => {
      await fetch(`${url}/api/v0/ltm/none?token=secret-7`);
      await fetch(`${url}/ws/${path}?ticket=secret-7`);
      await check();
      assert.doesNotMatch(deployment.log(name), /secret-7|ticket=|after=/);
    });
  });
}

test('nginx: no gateway takes a connection in time: 504, and the end of an event stream', async () => {
  const url = await deployment.proxy('nginx');
  await Promise.all([0, 1].map((at) => deployment.end(`gateway${at}`, 'SIGKILL')));
  for (const at of [0, 1]) deployment.startDeaf(at);
  await until(() => [0, 1].every((at) => deployment.log(`gateway${at}`).includes('deaf')));
  // One after the other: nginx answers 502 while both gateways count as failed.
  for (const it of ['ws', 'agui']) assert.equal((await fetch(`${url}/${it}/${path}`)).status, 504, it);
  await assert.rejects(fetch(`${url}/sse/${path}`));
  await deployment.end('nginx', 'SIGKILL');
});
