import assert from 'node:assert/strict';
import { test } from 'node:test';

import { at, live, openPage, stand } from '../stand/stand.js';

let service;
let browser;
let drawn;
let plain;
stand(async (it) => {
  ({ service, browser } = it);
  const played = await service.play('tutorial', '--speed', 'max');
  await played.done;
  drawn = played.id;
  plain = (await service.post('ltm', { fqn: 'app.Agent', state: { n: 0 } })).id;
});

/** The panes that can be seen, with their widths. */
const panes = (page) => page.$$eval('.ltm-body > .pane', (all) => Object.fromEntries(all.filter((it) => it.offsetWidth > 0).map((it) => [it.classList[1], it.offsetWidth])));

test('a link to a tab shows the tab on every screen', async () => {
  for (const [width, height] of [[1440, 900], [1024, 768], [390, 780]]) {
    const page = await openPage(browser, `${service.url}/#/ltm/${drawn}?at=7&tab=changes`, { width, height });
    await at(page, '7 of 22');
    await page.locator('.operations').waitFor();
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  }
});

test('two panes are beside each other at 1,024 px, and one fills a phone', async () => {
  const page = await openPage(browser, `${service.url}/#/ltm/${drawn}`, { width: 1024, height: 768 });
  await live(page);
  assert.deepEqual(Object.keys(await panes(page)), ['timeline', 'machine']);
  await page.getByRole('button', { name: 'Details', exact: true }).click();
  assert.deepEqual(Object.keys(await panes(page)), ['timeline', 'details']);
  await page.setViewportSize({ width: 390, height: 780 });
  assert.deepEqual(await panes(page), { details: 390 });
  await page.getByRole('button', { name: 'Steps', exact: true }).click();
  assert.deepEqual(await panes(page), { timeline: 390 });
  await page.context().close();
});

test('a pane fills its room, and a change in it lays out that pane alone', async () => {
  for (const [width, height] of [[1440, 900], [1024, 768], [390, 780]]) {
    const page = await openPage(browser, `${service.url}/#/ltm/${drawn}?tab=waterfall`, { width, height });
    await live(page);
    await page.locator('.bar-row').first().waitFor();
    const contained = (selector) => page.$$eval(selector, (all) => all.filter((it) => it.offsetWidth > 0).map((it) => [getComputedStyle(it).contain, it.parentElement.clientHeight - it.offsetHeight]));
    for (const found of await contained('.ltm-body > .pane')) assert.deepEqual(found, ['size layout style', 0]);
    for (const [contain] of await contained('.bar-row')) assert.equal(contain, 'size layout style');
    for (const [contain] of await contained('.step')) assert.equal(contain, 'strict');
    await page.context().close();
  }
});

test('without a machine the state has its room, and the page says how to draw one', async () => {
  const page = await openPage(browser, `${service.url}/#/ltm/${plain}`);
  await live(page);
  const shown = await panes(page);
  assert.deepEqual(Object.keys(shown), ['timeline', 'details']);
  assert.ok(shown.details > 1440 / 2);
  const hint = page.locator('.no-machine', { hasText: 'structure' });
  await hint.getByRole('button', { name: 'Got it' }).click();
  await page.reload();
  await live(page);
  await page.locator('.tree .row').first().waitFor();
  assert.equal(await hint.isVisible(), false, 'it was closed for good');
  await page.goto(`${service.url}/#/ltm/${drawn}`);
  await page.locator('.machine .node').first().waitFor();
  await page.context().close();
});

test('the top of a run says what it was asked and what came out, or why it failed', async () => {
  const long = 'How were harbours lit before electricity? '.repeat(40);
  const { id } = await service.post('ltm', { fqn: 'app.Agent', state: { _status: 'active', question: long } });
  const page = await openPage(browser, `${service.url}/#/ltm/${id}`);
  await live(page);
  const [input, result] = [page.locator('.ends div', { hasText: 'Input' }), page.locator('.ends div', { hasText: /^(Result|Failed)/ })];
  await input.locator('.end-text', { hasText: 'How were harbours' }).waitFor();
  assert.ok(await result.isHidden());
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && document.querySelector('main').scrollWidth <= innerWidth));
  await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { answer: 'With oil.' } });
  await result.locator('.end-text', { hasText: 'With oil.' }).click();
  await page.locator('.tree .row[aria-selected="true"] .key', { hasText: 'answer' }).waitFor();
  await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { _status: 'error' } });
  await service.post(`ltm/${id}/errors`, { id: crypto.randomUUID(), reason: 'execute', item: { fqn: 'agent.read' }, retries: [{ type: 'TimeoutError', description: 'no answer in 30 s' }], retrying: false, success: false });
  await page.locator('.ends dt', { hasText: 'Failed' }).waitFor();
  await result.locator('.end-text', { hasText: 'agent.read: TimeoutError: no answer in 30 s' }).click();
  await page.locator('.errors .card').waitFor();
  // A later error is none of that step.
  await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { n: 1 } });
  await service.post(`ltm/${id}/errors`, { id: crypto.randomUUID(), reason: 'execute', item: { fqn: 'agent.write' }, retries: [], retrying: false, success: false });
  await result.locator('.end-text', { hasText: 'agent.write' }).waitFor();
  await page.getByRole('button', { name: 'show step' }).last().click();
  await at(page, '2 of 3');
  await result.locator('.end-text', { hasText: 'agent.read' }).waitFor();
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});
