import assert from 'node:assert/strict';
import { test } from 'node:test';

import { at, live, openPage, shownState, stand, until } from '../stand/stand.js';

const COUNT = 10_000;
/** The snapshots of one call. */
const BATCH = 500;
/** Elements of the whole page, however long the history is. */
const MOST_ELEMENTS = 1500;
/** Of the work for one change, no piece may take a second, on whatever machine: folding all anew takes many. */
const MOST_STEPS_AT_ONCE = 200;

let service;
let browser;
let id;
stand(async (it) => {
  ({ service, browser } = it);
  id = (await service.post('ltm', { fqn: 'app.Counter', name: 'counter', state: { n: 0, log: [], goal: 'count' } })).id;
  const step = (n) => {
    const patch = [{ op: 'replace', path: '/n', value: n }];
    if (n % 10 === 0) patch.push({ op: 'add', path: '/log/-', value: `line ${n}` });
    return { reason: n % 2 ? 'execute' : 'transition', patch };
  };
  for (let from = 1; from < COUNT; from += BATCH) {
    const snapshots = Array.from({ length: Math.min(BATCH, COUNT - from) }, (_, i) => step(from + i));
    await service.post(`ltm/${id}/snapshots`, { snapshots });
  }
});

const elements = (page) => page.evaluate(() => document.querySelectorAll('*').length);

test('ten thousand snapshots: few elements, little work for each step, the right state', async () => {
  const page = await openPage(browser, `${service.url}/#/ltm/${id}`);
  await live(page);
  await at(page, '9,999 of 9,999');
  assert.ok((await elements(page)) < MOST_ELEMENTS, `${await elements(page)} elements`);
  assert.deepEqual(await shownState(page), (await service.get(`ltm/${id}/state`)).state);

  // Wherever the slider goes.
  const slider = page.getByLabel('Snapshot', { exact: true });
  for (const index of [5000, 17, 9876, 64, 4999]) {
    await slider.evaluate((element, value) => {
      element.value = value;
      element.dispatchEvent(new Event('input'));
    }, index);
    await at(page, `${index.toLocaleString('en')} of 9,999`);
    assert.deepEqual(await shownState(page), (await service.get(`ltm/${id}/state?index=${index}`)).state, `at ${index}`);
    assert.ok((await elements(page)) < MOST_ELEMENTS);
  }

  // Scrolling through all of them, and finding some.
  const steps = page.locator('.steps');
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    await steps.evaluate((element, part) => (element.scrollTop = element.scrollHeight * part), part);
    await until('rows', () => page.locator('.step').first().isVisible());
    assert.ok((await elements(page)) < MOST_ELEMENTS);
  }
  await page.getByLabel('Filter steps').fill('999');
  await page.locator('.timeline .tally', { hasText: /^\d+ of 10,000$/ }).waitFor();
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('while the state of a step is unknown, the page does not show what another one was asked', async () => {
  const page = await openPage(browser, `${service.url}/#/ltm/${id}`);
  await live(page);
  await page.locator('.ends', { hasText: 'count' }).waitFor();
  // Every fold takes too long, until it is over.
  await page.evaluate(() => {
    let now = performance.now();
    performance.now = () => (now += 1000);
  });
  await page.getByLabel('Snapshot', { exact: true }).evaluate((element) => {
    element.value = 3000;
    element.dispatchEvent(new Event('input'));
  });
  await page.locator('.ltm-view[aria-busy="true"]').waitFor();
  assert.ok(await page.locator('.ends').isHidden());
  await page.evaluate(() => delete performance.now);
  await at(page, '3,000 of 9,999');
  assert.ok(await page.locator('.ends', { hasText: 'count' }).isVisible());
  await page.context().close();
});

test('a step costs the page the same, however many came before', async () => {
  const page = await openPage(browser, `${service.url}/#/ltm/${id}`, {});
  await live(page);
  await at(page, '9,999 of 9,999');
  // Whoever folds a patch reads its operations, in one of these ways.
  await page.evaluate(() => {
    globalThis.folded = 0;
    for (const name of [Symbol.iterator, 'forEach', 'values', 'reduce']) {
      const read = Array.prototype[name];
      Array.prototype[name] = function counted(...args) {
        if (this[0]?.op) globalThis.folded += this.length;
        return read.apply(this, args);
      };
    }
  });
  for (let n = 0; n < 5; n += 1) await service.post(`ltm/${id}/snapshots`, { reason: 'execute', patch: [{ op: 'replace', path: '/n', value: -n }] });
  await at(page, '10,004 of 10,004');
  const folded = await page.evaluate(() => globalThis.folded);
  assert.ok(folded >= 5, `${folded} patches were counted: the page reads them in another way`);
  assert.ok(folded < MOST_STEPS_AT_ONCE, `${folded} patches were folded for five new snapshots`);
  await page.context().close();
});

test('a waterfall that has much to read does not hold up the page', async () => {
  const page = await openPage(browser, `${service.url}/#/ltm/${id}`);
  await live(page);
  await at(page, '10,004 of 10,004');
  // All reading takes too long, until it is over.
  await page.evaluate(() => {
    let now = performance.now();
    performance.now = () => (now += 1000);
  });
  await page.getByRole('tab', { name: 'Waterfall' }).click();
  const tally = page.locator('.waterfall .tally');
  await tally.filter({ hasText: 'steps to read' }).waitFor();
  await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { n: 7 } });
  await page.locator('.where[data-last="10005"]').waitFor();
  await page.evaluate(() => delete performance.now);
  await at(page, '10,005 of 10,005');
  assert.doesNotMatch(await tally.textContent(), /to read/);
  await page.context().close();
});
