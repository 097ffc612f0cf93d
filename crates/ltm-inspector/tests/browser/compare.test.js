import assert from 'node:assert/strict';
import { test } from 'node:test';

import { at, live, openPage, stand, until } from '../stand/stand.js';

let service;
let browser;
stand((it) => ({ service, browser } = it));

/** What is shown to differ: the path, and both values. */
const shown = (page) => page.$$eval('.differences li', (rows) => rows.map((row) => [row.querySelector('.path').textContent, ...[...row.querySelectorAll('pre')].map((it) => it.textContent)]));
const shows = (page, wanted) => until(JSON.stringify(wanted), async () => JSON.stringify(await shown(page)) === JSON.stringify(wanted));

async function run(name) {
  const { id } = await service.post('ltm', { fqn: 'app.Agent', name, state: { _status: 'active', n: 0, text: `the quick brown fox of ${name}` } });
  await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { n: 1 } });
  await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { n: 2, found: ['a'] } });
  await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { _status: 'finished', text: `the quick red fox of ${name}` } });
  return id;
}

test('two snapshots are shown side by side, whichever they are, and the link has both', async () => {
  const id = await run('one');
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?tab=compare`);
  await live(page);
  const text = ['/text', 'the quick brown fox of one', 'the quick red fox of one'];
  await shows(page, [['/_status', 'active', 'finished'], text]);
  assert.deepEqual(await page.locator('.pair del, .pair ins').allTextContents(), ['brown', 'red']);
  await page.getByLabel('snapshot', { exact: true }).fill('99');
  await page.getByLabel('snapshot', { exact: true }).press('Enter');
  await page.getByText('Snapshot 99 is not in the history: it has 0 to 3.').waitFor();
  await page.getByRole('button', { name: 'First', exact: true }).click();
  await shows(page, [['/_status', 'active', 'finished'], ['/n', '0', '2'], text, ['/found', '–', '[\n  "a"\n]']]);
  await page.keyboard.press('Escape');
  await page.getByLabel('snapshot', { exact: true }).fill('1');
  await page.getByLabel('snapshot', { exact: true }).press('Enter');
  await shows(page, [['/_status', 'active', 'finished'], ['/n', '1', '2'], text, ['/found', '–', '[\n  "a"\n]']]);
  await page.locator('.compare-head', { hasText: 'Snapshot 1Snapshot 3' }).waitFor();
  await until('the link', async () => page.url().endsWith(`#/ltm/${id}?tab=compare&with=%401`));
  await page.reload();
  await page.locator('.compare-head', { hasText: 'Snapshot 1Snapshot 3' }).waitFor();
  // A snapshot is kept while the reader goes to another one.
  await page.getByRole('button', { name: 'This one' }).click();
  await page.getByText('The two states are equal.').waitFor();
  await page.keyboard.press('Home');
  await at(page, '0 of 3');
  await shows(page, [['/_status', 'finished', 'active'], ['/n', '2', '0'], ['/text', text[2], text[1]], ['/found', '[\n  "a"\n]', '–']]);
  await page.getByRole('button', { name: 'Previous', exact: true }).click();
  await page.locator('.compare-head', { hasText: 'Before the first snapshotSnapshot 0' }).waitFor();
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('two LTMs are shown side by side; one that is not there is named', async () => {
  const [one, two] = [await run('one'), await run('two')];
  const page = await openPage(browser, `${service.url}/#/ltm/${one}?tab=compare&with=${two}@2`);
  await live(page);
  await page.locator('.compare-head', { hasText: `LTM ${two}, snapshot 2` }).waitFor();
  await shows(page, [['/_status', 'active', 'finished'], ['/text', 'the quick brown fox of two', 'the quick red fox of one']]);
  await page.getByLabel('of LTM').fill('999');
  await page.getByLabel('of LTM').press('Enter');
  await page.getByText(/^LTM 999: /).waitFor();
  await page.getByLabel('of LTM').fill(String(two));
  await page.getByLabel('of LTM').press('Enter');
  await shows(page, [['/text', 'the quick red fox of two', 'the quick red fox of one']]);
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});
