import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Service, at, live, openPage, shownState, stand, until } from '../stand/stand.js';

let service;
let browser;
let id;
stand(async (it) => {
  ({ service, browser } = it);
  const played = await service.play('tutorial', '--speed', 'max');
  await played.done;
  id = played.id;
});

test('at each index the page shows the state that the API gives for it', async () => {
  const page = await openPage(browser, `${service.url}/#/ltm/${id}`);
  await live(page);
  await page.keyboard.press('Home');
  for (let index = 0; index < 23; index += 1) {
    await at(page, `${index} of 22`);
    const { state } = await service.get(`ltm/${id}/state?index=${index}`);
    assert.deepEqual(await shownState(page), state, `at ${index}`);
    await page.keyboard.press('j');
  }
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('a link names an LTM, a snapshot and a pane', async () => {
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?at=7&tab=changes`);
  await at(page, '7 of 22');
  assert.equal(await page.locator('.operations li').count(), (await service.get(`ltm/${id}/snapshots?from=7&limit=1`)).snapshots[0].patch.length);
  await page.keyboard.press('k');
  await at(page, '6 of 22');
  await until('the address', () => page.url().endsWith(`#/ltm/${id}?at=6&tab=changes`));
  await page.keyboard.press('y');
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), page.url());
  await page.keyboard.press('l');
  await until('the address of the live end', () => page.url().endsWith(`#/ltm/${id}?tab=changes`));
  await page.context().close();
});

test('a link that the user follows is never replaced by the one before', async () => {
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?at=7`);
  await at(page, '7 of 22');
  const left = await page.evaluate(async () => {
    document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'k', bubbles: true }));
    await new Promise(requestAnimationFrame);
    // Busy for so long that the page is to change the URL, too, before the browser reports the user's change.
    const followed = new Promise((resolve) =>
      setTimeout(() => {
        resolve(location.hash);
        location.hash = '#/';
      }, 1),
    );
    const end = performance.now() + 500;
    while (performance.now() < end);
    return followed;
  });
  await page.locator(`tr[data-id="${id}"]`).waitFor();
  await page.goBack();
  // If the frame was late, the page had changed the URL from 7 to 6 before the user followed the link.
  await at(page, `${/at=([67])$/.exec(left)[1]} of 22`);
  await page.context().close();
});

test('what is looked at stays, whatever comes; and Latest goes back to the end', async () => {
  const { id: other } = await service.post('ltm', { fqn: 'app.Agent', state: { n: 0 } });
  for (let n = 1; n <= 5; n += 1) await service.post(`ltm/${other}/snapshots`, { reason: 'execute', merge: { n } });
  const page = await openPage(browser, `${service.url}/#/ltm/${other}?at=2`);
  await live(page);
  await at(page, '2 of 5');
  await service.post(`ltm/${other}/snapshots`, { reason: 'execute', merge: { n: 6 } });
  await at(page, '2 of 6');
  assert.deepEqual(await shownState(page), { n: 2 });
  await page.getByRole('button', { name: 'Latest' }).click();
  await at(page, '6 of 6');
  assert.deepEqual(await shownState(page), { n: 6 });
  await page.context().close();
});

test('playing goes through the snapshots, and stops at the end', async () => {
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?at=15`);
  await at(page, '15 of 22');
  await page.getByLabel('Speed').selectOption('20');
  await page.getByRole('button', { name: 'Play' }).click();
  await at(page, '22 of 22');
  await page.getByRole('button', { name: 'Play' }).waitFor();
  await page.context().close();
});

test('a text is found in the state, wherever it is', async () => {
  const page = await openPage(browser, `${service.url}/#/ltm/${id}`);
  await live(page);
  await page.keyboard.press('/');
  await page.keyboard.type('afraid of the dark');
  await page.locator('.state-pane .tally', { hasText: /^1 of \d/ }).waitFor();
  await page.locator('.row[data-found="yes"] mark', { hasText: 'afraid of the dark' }).waitFor();
  await page.keyboard.press('Enter');
  await page.locator('.state-pane .tally', { hasText: /^2 of \d/ }).waitFor();
  // Another word leaves no mark of this one.
  const input = page.getByLabel('Search in the state');
  await input.fill('i');
  await page.locator('.row mark').first().waitFor();
  await input.fill('instructions');
  await page.locator('.state-pane .tally', { hasText: /^1 of \d/ }).waitFor();
  assert.deepEqual([...new Set((await page.locator('.row mark').allTextContents()).map((text) => text.toLowerCase()))], ['instructions']);
  await page.context().close();
});

test('the queues say what waits, and which step took it', async () => {
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?at=4&tab=step`);
  await at(page, '4 of 22');
  const waiting = page.locator('.queue', { hasText: 'Waiting after this step' });
  assert.equal(await waiting.locator('li').count(), 1);
  await page.locator('.queue', { hasText: 'Queued transitions' }).getByRole('button', { name: 'step 5' }).click();
  await at(page, '5 of 22');
  await page.getByRole('button', { name: 'step 4' }).first().waitFor();
  await page.context().close();
});

test('what ran is marked in the picture', async () => {
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?at=7`);
  await at(page, '7 of 22');
  assert.equal(await page.locator('.label[data-ran="yes"]').textContent().then((text) => text.slice(-11)), 'write_story');
  assert.equal(await page.locator('.node[data-status="queued"] .name').textContent(), 'writing_story');
  await page.keyboard.press('j');
  await at(page, '8 of 22');
  assert.equal(await page.locator('.node[data-ran="yes"] .name').textContent(), 'writing_story');
  await page.locator('.node', { hasText: 'writing_story' }).last().click();
  await page.locator('.row[aria-selected="true"] .key', { hasText: 'writing_story' }).waitFor();
  await page.context().close();
});

test('numbers keep their digits', async () => {
  const body = (n) => `{"reason": "execute", "patch": [{"op": "add", "path": "/n", "value": ${n}}]}`;
  const post = (path, text) => fetch(`${service.url}/api/v0/${path}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: text });
  const { id: exact } = await (await post('ltm', '{"fqn": "app.Exact", "state": {"n": 9007199254740993}}')).json();
  const page = await openPage(browser, `${service.url}/#/ltm/${exact}`);
  await live(page);
  await page.locator('.row[data-type="number"] .value', { hasText: '9007199254740993' }).waitFor();
  await post(`ltm/${exact}/snapshots`, body('123456789012345678901234567890'));
  await page.locator('.row[data-type="number"] .value', { hasText: '123456789012345678901234567890' }).waitFor();
  await page.getByRole('tab', { name: 'Changes' }).click();
  assert.deepEqual(await page.locator('.operations pre').allTextContents(), ['123456789012345678901234567890']);
  await page.getByRole('tab', { name: 'State' }).click();
  await page.getByRole('button', { name: 'Copy the state as JSON' }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), '{\n  "n": 123456789012345678901234567890\n}');
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('a history that has lost its begin keeps its indices', async () => {
  const short = await Service.start({ LTM__RETENTION__MAX_ENTRIES: '10', LTM__API__CHECKPOINT_EVERY: '5' });
  const { id: trimmed } = await short.post('ltm', { fqn: 'app.Long', state: { n: 0 } });
  for (let n = 1; n <= 60; n += 1) await short.post(`ltm/${trimmed}/snapshots`, { reason: 'execute', merge: { n } });
  const { first_index: first } = await until('a trim', async () => {
    const document = await short.get(`ltm/${trimmed}`);
    return document.first_index > 0 && document;
  });
  const page = await openPage(browser, `${short.url}/#/ltm/${trimmed}?at=55`);
  await live(page);
  await at(page, '55 of 60');
  assert.deepEqual(await shownState(page), { n: 55 });
  await page.keyboard.press('Home');
  await at(page, `${first} of 60`);
  assert.deepEqual(await shownState(page), (await short.get(`ltm/${trimmed}/state?index=${first}`)).state);
  assert.equal(await page.locator('.step .title').first().textContent(), 'trimmed');
  await page.context().close();
  await short.remove();
});

test('equal steps are one row, steps without a change can be hidden, and errors are marked where they happened', async () => {
  const { id } = await service.post('ltm', { fqn: 'app.Writer', state: { text: { chunks: [] } } });
  const step = (item, patch = []) => service.post(`ltm/${id}/snapshots`, { reason: 'execute', item, patch });
  await step({ fqn: 'writer.search' });
  for (let n = 0; n < 12; n += 1) await step({ fqn: 'writer.write' }, [{ op: 'add', path: '/text/chunks/-', value: `${n} ` }]);
  await step({ fqn: 'writer.review' });
  await service.post(`ltm/${id}/errors`, { id: crypto.randomUUID(), reason: 'execute', item: { fqn: 'writer.search' }, retries: [], retrying: false, success: false });
  const page = await openPage(browser, `${service.url}/#/ltm/${id}`);
  await at(page, '14 of 14');
  const titles = () => page.locator('.step .title').allTextContents();
  const are = (wanted) => until(wanted.join(), async () => (await titles()).join() === wanted.join());
  await are(['start', 'search', 'write × 12', 'review']);
  await page.locator('.step[data-error="bad"]', { hasText: 'search' }).waitFor();
  await page.getByRole('tab', { name: 'Errors' }).click();
  await page.getByRole('button', { name: 'show step' }).click();
  await at(page, '1 of 14');
  await page.locator('.step', { hasText: 'write × 12' }).click();
  await at(page, '2 of 14');
  await are(['start', 'search', ...Array(12).fill('write'), 'review']);
  await page.getByRole('button', { name: 'Only steps that changed the state' }).click();
  await are(['start', ...Array(12).fill('write')]);
  await page.getByRole('button', { name: 'One row for equal steps' }).click();
  await page.getByRole('button', { name: 'One row for equal steps' }).click();
  await are(['start', 'write × 12']);
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('a text that still grows is shown as text', async () => {
  const { id } = await service.post('ltm', { fqn: 'app.Chat', state: { answer: { chunks: ['Harbours '] } } });
  const page = await openPage(browser, `${service.url}/#/ltm/${id}`);
  const answer = page.getByRole('treeitem', { name: 'answer' }).locator('.value');
  await answer.getByText('"Harbours " …').waitFor();
  await service.post(`ltm/${id}/snapshots`, { reason: 'tokens', patch: [{ op: 'add', path: '/answer/chunks/-', value: 'are safe.' }] });
  await answer.getByText('"Harbours are safe." …').waitFor();
  await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { answer: 'Harbours are safe.' } });
  await answer.getByText('"Harbours are safe."', { exact: true }).waitFor();
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});
