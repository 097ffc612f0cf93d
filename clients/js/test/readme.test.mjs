// The README says what is so: its snippets run, and its numbers are those of today.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { build } from 'esbuild';
import { Producer } from '../dist/index.js';
import { size } from '../scripts/size.mjs';
import { Browser } from './support/browser.mjs';
import { Services } from './support/services.mjs';
import { until } from './support/until.mjs';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const blocks = [...readme.matchAll(/```(\w+)\n([^]*?)```/g)].map(([, language, text]) => ({ language, text }));
// Within the package, so that its name means itself.
const folder = fileURLToPath(new URL('readme/', import.meta.url));
const read = ['follow.mjs', 'read.mjs', 'write.mjs', 'text.mjs', 'react.jsx', 'svelte.mjs'];

let services;
let producer;

before(async () => {
  mkdirSync(folder, { recursive: true });
  services = await Services.start();
  producer = new Producer(services.url);
  // The one that the snippets follow.
  assert.equal((await producer.create({ fqn: 'app.Agent', state: { n: 0 } })).id, '1');
});
after(async () => {
  await services.stop();
  rmSync(folder, { recursive: true });
});

const here = (text) => text.replaceAll('http://localhost:8000', services.url);

/** A snippet, written down under the name that it begins with. */
function snippet(name) {
  const { text } = blocks.find(({ text }) => text.startsWith(`// ${name}\n`));
  writeFileSync(`${folder}/${name}`, here(text));
  return `${folder}/${name}`;
}

/** Runs a snippet; `said` is what it has printed. */
function start(name) {
  const { LTM_TOKEN: _, ...env } = process.env;
  const child = spawn(process.execPath, [snippet(name)], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const running = { child, said: '', exited: new Promise((resolve) => child.once('exit', resolve)) };
  child.stdout.setEncoding('utf8').on('data', (text) => (running.said += text));
  return running;
}

test('every snippet is run here', () => {
  const code = blocks.filter(({ language }) => !['sh', 'text'].includes(language));
  const names = code.map(({ language, text }) => (language === 'html' ? 'html' : /^\/\/ (.*)\n/.exec(text)[1]));
  assert.deepEqual(names.sort(), [...read, 'html'].sort());
});

test('five minutes lead to live state', async () => {
  const { text } = blocks.find(({ language }) => language === 'text');
  const running = start('follow.mjs');
  await until(() => running.said.length >= text.length);
  assert.ok(running.said.startsWith(text), running.said);
  running.child.kill();
});

test('changes are read until it is done', async () => {
  const running = start('read.mjs');
  // It may begin at any of these.
  await until(async () => {
    await producer.append(1, { reason: 'execute', merge: { again: Math.random() } });
    return running.said.includes('execute');
  });
  await producer.rollback(1, { snapshot: { index: 0 } });
  await until(() => running.said.includes('back to 0'));
  await producer.append(1, { reason: 'execute', merge: { done: true } });
  assert.equal(await running.exited, 0);
  assert.match(running.said, /closed\n$/);
});

test('what is written is there', async () => {
  const running = start('write.mjs');
  assert.equal(await running.exited, 0);
  assert.match(running.said, /^cursor-mismatch 412 /);
});

test('a text that is streamed is whole in the end', async () => {
  const running = start('text.mjs');
  assert.equal(await running.exited, 0);
  assert.equal(running.said, 'Harbours are safe.\nHarbours are \n');
});

test('a store calls', async () => {
  const running = start('svelte.mjs');
  const { state } = await services.document(1);
  await until(() => Object.keys(state).every((key) => running.said.includes(key)));
  running.child.kill();
});

test('pages show the state', async () => {
  const { text: html } = blocks.find(({ language }) => language === 'html');
  const component = snippet('react.jsx');
  const contents = `
    import { createElement } from 'react';
    import { createRoot } from 'react-dom/client';
    import { Agent } from '${component}';
    createRoot(document.body).render(createElement(Agent, { id: 1 }));
  `;
  const define = { 'process.env.NODE_ENV': '"production"' };
  const stdin = { contents, resolveDir: folder };
  const react = await build({ stdin, bundle: true, write: false, format: 'esm', jsx: 'automatic', define });
  const browser = await Browser.start({
    'react.js': react.outputFiles[0].text,
    'page.html': here(html),
    'react.html': '<!doctype html><body></body><script type="module" src="/react.js"></script>',
  });
  const { state } = await services.document(1);
  for (const name of ['page.html', 'react.html']) {
    const page = await browser.context.newPage();
    await page.goto(`${browser.url}${name}`);
    await page.waitForFunction((text) => /^live\b/.test(document.body.innerText) && document.body.innerText.includes(text), JSON.stringify(state));
  }
  await browser.stop();
});

test('its size is what it says', () => {
  const said = Number(/(\d\.\d) KiB gzipped/.exec(readme)[1]);
  assert.ok(Math.abs(said - size() / 1024) < 0.1, `${size()} bytes`);
});

test('types hold', async () => {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const child = spawn(`${root}/node_modules/.bin/tsc`, ['-p', `${root}/test/tsconfig.json`], { stdio: 'inherit' });
  assert.equal(await new Promise((resolve) => child.once('exit', resolve)), 0);
});
