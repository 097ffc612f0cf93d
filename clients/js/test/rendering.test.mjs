// Rendering on a server: the first paint shows the document that the server fetched, and the page goes on from there.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { compile } from 'svelte/compiler';
import { createSSRApp, h } from 'vue';
import { renderToString as renderVue } from 'vue/server-renderer';
import { build } from 'esbuild';
import Socket from 'ws';
import { Producer, Reader } from '../dist/index.js';
import { useLtm, useLtmList, useLtms } from '../dist/react.js';
import { ltmListStore, ltmsStore, ltmStore } from '../dist/svelte.js';
import * as vue from '../dist/vue.js';
import { Browser } from './support/browser.mjs';
import { Services } from './support/services.mjs';

const folder = fileURLToPath(new URL('rendering/', import.meta.url));
const nowhere = 'http://127.0.0.1:9';

let services;
let producer;
let props;
/** What a server sends to a page: JSON. */
async function fetchProps(id) {
  const reader = new Reader(services.url);
  props = JSON.parse(JSON.stringify({ url: services.url, id, initial: await reader.document(id), page: await reader.list() }));
}

before(async () => {
  mkdirSync(folder, { recursive: true });
  services = await Services.start();
  producer = new Producer(services.url);
  const { id } = await producer.create({ fqn: 'app.Agent', name: 'first', state: { n: 1 } });
  await fetchProps(id);
});
after(async () => {
  await services.stop();
  rmSync(folder, { recursive: true });
});

const react = `
  import { createElement } from 'react';
  import { useLtm, useLtmList, useLtms } from 'ltm-live/react';
  export function App({ url, id, initial, page }) {
    const one = useLtm(url, id, { initial });
    const many = useLtms(url, [id], { initial: [initial] });
    const { rows } = useLtmList(url, {}, { initial: page });
    return createElement('p', null, [one.status, one.state?.n, many[0].state?.n, rows?.[0]?.name].join(' '));
  }
`;
const svelte = `
  <script>
    import { ltmListStore, ltmsStore, ltmStore } from 'ltm-live/svelte';
    let { url, id, initial, page } = $props();
    const one = ltmStore(url, id, { initial });
    const many = ltmsStore(url, [id], { initial: [initial] });
    const list = ltmListStore(url, {}, { initial: page });
  </script>
  <p>{[$one.status, $one.state?.n, $many[0].state?.n, $list.rows?.[0]?.name].join(' ')}</p>
`;
const vueApp = `
  import { h } from 'vue';
  import { useLtm, useLtmList, useLtms } from 'ltm-live/vue';
  export const App = {
    props: ['url', 'id', 'initial', 'page'],
    setup({ url, id, initial, page }) {
      const one = useLtm(url, id, { initial });
      const many = useLtms(url, [id], { initial: [initial] });
      const list = useLtmList(url, {}, { initial: page });
      return () => h('p', [one.value.status, one.value.state?.n, many.value[0].state?.n, list.value.rows?.[0]?.name].join(' '));
    },
  };
`;

async function onServer() {
  writeFileSync(`${folder}/react.mjs`, react);
  writeFileSync(`${folder}/vue.mjs`, vueApp);
  writeFileSync(`${folder}/svelte.server.mjs`, compile(svelte, { generate: 'server' }).js.code);
  writeFileSync(`${folder}/svelte.client.mjs`, compile(svelte, { generate: 'client', dev: true }).js.code);
  const { render } = await import('svelte/server');
  const [reactApp, vueApp_, svelteApp] = await Promise.all(
    ['react.mjs', 'vue.mjs', 'svelte.server.mjs'].map((name) => import(`${folder}/${name}`)),
  );
  return {
    react: renderToString(createElement(reactApp.App, props)),
    vue: await renderVue(createSSRApp(vueApp_.App, props)),
    svelte: render(svelteApp.default, { props }).body,
  };
}

const clients = {
  react: `
    import { createElement, StrictMode } from 'react';
    import { hydrateRoot } from 'react-dom/client';
    import { App } from './react.mjs';
    hydrateRoot(root, createElement(App, props), { onRecoverableError: (error) => console.error(error) });
  `,
  vue: `
    import { createSSRApp } from 'vue';
    import { App } from './vue.mjs';
    createSSRApp(App, props).mount(root);
  `,
  svelte: `
    import { hydrate } from 'svelte';
    import App from './svelte.client.mjs';
    hydrate(App, { target: root, props });
  `,
};

test('a page that a server rendered hydrates without a warning or a flash, fetches nothing again, and goes on live', async () => {
  const files = {};
  const browser = await Browser.start(files);
  after(() => browser.stop());
  for (const [name, contents] of Object.entries(clients)) {
    await fetchProps(props.id);
    const html = await onServer();
    const stdin = { contents: `const { root, props } = window;\n${contents}`, resolveDir: folder };
    const define = { 'process.env.NODE_ENV': '"development"', __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'true', __VUE_OPTIONS_API__: 'true', __VUE_PROD_DEVTOOLS__: 'false' };
    const conditions = ['browser', 'development'];
    const { outputFiles } = await build({ stdin, bundle: true, write: false, format: 'esm', define, conditions, mainFields: ['browser', 'module', 'main'] });
    files[`${name}.js`] = outputFiles[0].text;
    assert.match(html[name], /<p>connecting 1 1 first<\/p>/, name);
    files[`${name}.html`] = `<!doctype html><body><div id="root">${html[name]}</div><script type="module">
      window.root = document.getElementById('root');
      window.props = ${JSON.stringify(props)};
      window.texts = [root.textContent];
      new MutationObserver(() => texts.push(root.textContent)).observe(root, { subtree: true, childList: true, characterData: true });
      await import('/${name}.js');
    </script>`;
    const page = await browser.context.newPage();
    const said = [];
    const asked = [];
    page.on('console', (message) => ['error', 'warning'].includes(message.type()) && said.push(message.text()));
    page.on('pageerror', (error) => said.push(String(error)));
    page.on('request', (request) => request.url().includes('/api/') && asked.push(request.url()));
    await page.goto(`${browser.url}${name}.html`);
    await page.waitForFunction(() => root.textContent === 'live 1 1 first');
    const texts = await page.evaluate(() => [...new Set(window.texts)]);
    assert.deepEqual(texts, ['connecting 1 1 first', 'live 1 1 first'], name);
    assert.deepEqual(said.filter((text) => !/favicon/.test(text)), [], name);
    assert.deepEqual(asked, [], name);
    await producer.append(props.id, { reason: 'execute', merge: { n: 2 } });
    await page.waitForFunction(() => root.textContent === 'live 2 2 first');
    await producer.append(props.id, { reason: 'execute', merge: { n: 1 } });
    await page.waitForFunction(() => root.textContent === 'live 1 1 first');
    await page.close();
  }
});

test('on a server nothing connects, also if the runtime has WebSockets, and every status is `connecting`', async () => {
  const { WebSocket, fetch } = globalThis;
  const called = [];
  try {
    globalThis.WebSocket = class {
      constructor(url) {
        called.push(url);
      }
    };
    globalThis.fetch = async (url) => called.push(url);
    const Agent = () => [useLtm(nowhere, 1).status, useLtms('', [1])[0].status, useLtmList('/relative').status].join();
    assert.equal(renderToString(createElement(Agent)), 'connecting,connecting,connecting');
    const views = [];
    ltmStore(nowhere, 1).subscribe((view) => views.push(view.status));
    ltmsStore('', [1]).subscribe(([view]) => views.push(view.status));
    ltmListStore('').subscribe((view) => views.push(view.status));
    const app = createSSRApp({
      setup() {
        const all = [vue.useLtm(nowhere, 1), vue.useLtms('', [1]), vue.useLtmList('')];
        return () => h('p', all.map(({ value }) => (value[0] ?? value).status).join());
      },
    });
    assert.equal(await renderVue(app), '<p>connecting,connecting,connecting</p>');
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([views, called], [['connecting', 'connecting', 'connecting'], []]);
  } finally {
    Object.assign(globalThis, { WebSocket, fetch });
  }
});

test('every entry can be imported where there is no window, and the React entry is for clients', async () => {
  assert.equal('window' in globalThis, false);
  for (const name of ['index', 'react', 'svelte', 'vue', 'text', 'ltm-live.min', 'ltm-live.all.min']) await import(`../dist/${name}.js`);
  assert.match(readFileSync(new URL('../dist/react.js', import.meta.url), 'utf8'), /^(["'])use client\1;/);
});

test('a store that is used again goes on from what it knew', async () => {
  const asked = [];
  const fetcher = (url, init) => (asked.push(String(url)), fetch(url, init));
  const store = ltmStore(services.url, props.id, { WebSocket: Socket, fetch: fetcher });
  const first = await new Promise((resolve) => {
    const end = store.subscribe((view) => view.status === 'live' && queueMicrotask(() => (end(), resolve(view))));
  });
  await producer.append(props.id, { reason: 'execute', merge: { n: 7 } });
  const again = [];
  const second = await new Promise((resolve) => {
    const end = store.subscribe((view) => {
      again.push(view);
      if (view.status === 'live' && view.state.n === 7) queueMicrotask(() => (end(), resolve(view)));
    });
  });
  assert.equal(again[0].state, first.state);
  assert.equal(asked.length, 1);
  assert.deepEqual(second.snapshots, (await services.document(props.id)).snapshots);
});
