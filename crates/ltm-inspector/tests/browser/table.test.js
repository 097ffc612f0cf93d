import assert from 'node:assert/strict';
import { test } from 'node:test';

import { live, openPage, stand, until } from '../stand/stand.js';

const ROWS = 50;
/** The most rows that a frame may draw anew. */
const AT_ONCE = 6;

let service;
let browser;
const made = [];
stand(async (it) => {
  ({ service, browser } = it);
  for (let n = 0; n < 2 * ROWS; n += 1) made.unshift((await service.post('ltm', { fqn: `app.Agent${n % 7}`, name: `run ${n}`, state: { _status: ['active', 'finished', 'error', 'queued'][n % 4] } })).id);
});

const rows = (page) => page.locator('tbody tr');
const isFull = (page) => until('a full page', async () => (await rows(page).count()) === ROWS);

/** Notes in `drawn` how many rows each piece of work adds, or changes the number of snapshots of. */
const watch = (page) => page.evaluate(() => {
  globalThis.drawn = [];
  new MutationObserver((records) => {
    const changed = new Set();
    for (const { target, addedNodes } of records) {
      if (target.tagName === 'TBODY') addedNodes.forEach((it) => changed.add(it));
      else if (target.className === 'count') changed.add(target.parentElement);
    }
    if (changed.size > 0) globalThis.drawn.push(changed.size);
  }).observe(document.querySelector('.list-body'), { childList: true, subtree: true });
});

test('another page, and a change of all rows, are drawn over some frames', async () => {
  const page = await openPage(browser, service.url);
  await live(page);
  await isFull(page);
  await watch(page);
  await page.getByRole('button', { name: 'Older' }).click();
  await until('the second page', async () => (await rows(page).last().getAttribute('data-id')) === String(made.at(-1)) && (await rows(page).count()) === ROWS);
  const another = await page.evaluate(() => globalThis.drawn.splice(0));
  assert.equal(another.reduce((sum, it) => sum + it), ROWS, `each row is drawn once: ${another}`);
  assert.ok(Math.max(...another) <= AT_ONCE, `rows at once: ${another}`);

  await Promise.all(made.slice(ROWS).map((id) => service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { _status: 'finished' } })));
  await until('the changes', async () => (await page.locator('.count', { hasText: /^2$/ }).count()) === ROWS);
  const changes = await page.evaluate(() => globalThis.drawn);
  assert.ok(Math.max(...changes) <= AT_ONCE, `rows at once: ${changes}`);
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('a change of a row lays out and paints that row alone', async () => {
  const page = await openPage(browser, service.url);
  await isFull(page);
  const styles = await rows(page).evaluateAll((all) => all.map((it) => [getComputedStyle(it).contain, it.offsetHeight]));
  for (const [contain, height] of styles) {
    assert.equal(contain, 'strict');
    assert.equal(height, styles[0][1]);
  }
  await page.context().close();
});

test('the columns of the head are those of the rows, and the head stays in view', async () => {
  for (const width of [800, 1024, 1280, 1800]) {
    const page = await openPage(browser, service.url, { width });
    await isFull(page);
    const edges = (selector) => page.locator(selector).evaluateAll((cells) => cells.map((it) => it.getBoundingClientRect()).filter((it) => it.width > 0).map((it) => [Math.round(it.left), Math.round(it.right)]));
    const head = await edges('thead th');
    assert.equal(head.length, width > 1000 ? 6 : 5);
    for (const n of [1, ROWS]) assert.deepEqual(await edges(`tbody tr:nth-child(${n}) td`), head, `row ${n} at ${width}`);
    const top = () => page.locator('thead th').first().evaluate((it) => it.getBoundingClientRect().top);
    const before = await top();
    for (let n = 0; n < ROWS; n += 1) await page.keyboard.press('j');
    await until('the last row', () => rows(page).last().locator('a.name').evaluate((it) => it === document.activeElement && it.getBoundingClientRect().bottom < innerHeight));
    assert.ok(await page.locator('.list-body').evaluate((it) => it.scrollTop > 0));
    assert.equal(await top(), before);
    await page.context().close();
  }
});

test('a screen reader finds a table: its name, heads of columns, rows and cells', async () => {
  const page = await openPage(browser, service.url);
  await live(page);
  await isFull(page);
  await page.locator(`table[aria-rowcount="${2 * ROWS + 1}"]`).waitFor();
  const cdp = await page.context().newCDPSession(page);
  const { nodes } = await cdp.send('Accessibility.getFullAXTree');
  const of = (role) => nodes.filter((it) => !it.ignored && it.role.value === role);
  assert.deepEqual(of('table').map((it) => it.name.value), ['LTMs, newest first']);
  assert.equal(of('rowgroup').length, 2);
  assert.equal(of('row').length, ROWS + 1);
  assert.deepEqual(of('columnheader').map((it) => it.name.value), ['Status', 'LTM', 'Class', 'Snapshots', 'Created', 'Last change']);
  assert.equal(of('cell').length, 6 * ROWS);
  // On a phone, too, whose rows have another form.
  await page.setViewportSize({ width: 390, height: 844 });
  const phone = (await cdp.send('Accessibility.getFullAXTree')).nodes.filter((it) => !it.ignored).map((it) => it.role.value);
  assert.equal(phone.filter((it) => it === 'row').length, ROWS);
  assert.equal(phone.filter((it) => it === 'table').length, 1);
  await page.context().close();
});
