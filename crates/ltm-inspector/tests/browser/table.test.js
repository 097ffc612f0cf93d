import assert from 'node:assert/strict';
import { test } from 'node:test';

import { live, openPage, stand, until } from '../stand/stand.js';

const ROWS = 50;
/** The most rows that a frame may draw anew. */
const AT_ONCE = 12;

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
