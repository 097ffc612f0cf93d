// Looks at the inspector and the API reference in Firefox, over WebDriver BiDi: list, run, live update, messages, an action, a call.
//
//   cargo build --bin ltm && npm run firefox       needs firefox-esr

import assert from 'node:assert/strict';
import { launch } from 'puppeteer-core';

import { Service } from '../tests/stand/stand.js';
import { chat } from './demo.mjs';

const LIMIT = 60_000;
const [service, browser] = await Promise.all([Service.start(), launch({ browser: 'firefox', executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr', headless: true, timeout: LIMIT })]);
const wrong = [];
const page = await browser.newPage();
await page.setViewport({ width: 1280, height: 800 });
page.setDefaultTimeout(LIMIT);
page.on('pageerror', (error) => wrong.push(String(error)));
page.on('console', (message) => message.type() === 'error' && wrong.push(message.text()));
/** Waits until an element that a selector finds has this text. */
const shows = (selector, text) => page.waitForFunction((selector, text) => [...document.querySelectorAll(selector)].some((it) => it.textContent.includes(text)), {}, selector, text);
const press = async (selector) => (await page.waitForSelector(selector, { visible: true })).click();

try {
  const { id } = await service.post('ltm', { fqn: 'app.Agent', name: 'counter', state: { n: 0 } });
  const talk = await chat((path, body) => service.post(path, body));
  await page.goto(service.url);
  await shows('.connection', 'Live');
  await press(`tr[data-id="${id}"] .name`);
  await shows('h1', 'counter');
  await shows('.connection', 'Live');
  await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { n: 41_007 } });
  await page.waitForSelector('.where[data-index="1"][data-last="1"]');
  await shows('.tree .row', '41007');
  console.log('list, run and live update');

  await page.goto(`${service.url}/#/ltm/${id}?at=0&tab=act`);
  await page.waitForSelector('.where[data-index="0"]');
  await press('.act .card .primary:not(:disabled)');
  await page.waitForSelector('.where[data-index="0"][data-last="0"]');
  assert.deepEqual((await service.get(`ltm/${id}/state`)).state, { n: 0 });
  console.log('a rollback');

  await page.goto(`${service.url}/#/ltm/${talk}?tab=messages`);
  await shows('.message h3', 'Oil, then gas');
  await press('[role="tab"][data-tab="waterfall"]');
  await page.waitForSelector('.bar-row');
  console.log('messages and waterfall');

  await page.goto(`${service.url}/docs#counts`);
  await page.waitForSelector('body[data-ready="yes"]');
  await press('#counts form button');
  await shows('#counts form strong', '200');
  console.log('a call of the API reference');
  assert.deepEqual(wrong, []);
  console.log(`${await browser.version()}: all as it should be`);
} finally {
  await browser.close();
  await service.remove();
}
