import assert from 'node:assert/strict';
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Service, live, ltm, openBrowser, openPage } from '../stand/stand.js';

let browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser?.close());

const EVIL = '<img src=x onerror="globalThis.hit=1"><script>globalThis.hit=1</script>';

test('whatever an engine writes is text', async () => {
  const service = await Service.start();
  const structure = { name: EVIL, fqn: EVIL, init: [EVIL], ltms: [{ name: EVIL, fqn: EVIL }, { name: '__proto__', fqn: 'p' }], transitions: [{ from: EVIL, to: EVIL, label: EVIL, namespace: EVIL, display_label: EVIL }] };
  const state = JSON.parse(`{"agent": {"__proto__": {"_status": "active"}}, "constructor": ${JSON.stringify(EVIL)}, "_status": ${JSON.stringify(EVIL)}}`);
  const { id } = await service.post('ltm', { fqn: EVIL, name: EVIL, structure, state });
  await service.post(`ltm/${id}/snapshots`, { reason: EVIL, item: { fqn: EVIL, label: EVIL, payload: EVIL }, patch: [{ op: 'add', path: `/${EVIL.replaceAll('/', '~1')}`, value: EVIL }], execute_queue: [EVIL, null, 3], transitions_queue: [{ label: EVIL, params: [EVIL] }] });
  await service.post(`ltm/${id}/errors`, { id: crypto.randomUUID(), reason: EVIL, item: { fqn: EVIL }, retries: [{ type: EVIL, description: EVIL, details: EVIL }], retrying: false, success: false });
  await service.post(`ltm/${id}/rollback`, { snapshot: { index: 0 } });
  await service.post(`ltm/${id}/snapshots`, { reason: EVIL, item: EVIL, patch: [] });
  const page = await openPage(browser, service.url);
  await live(page);
  await page.locator('tbody .name', { hasText: '<img src=x' }).click();
  for (const tab of ['State', 'Changes', 'Step', 'Errors', 'Rollbacks', 'About', 'Waterfall', 'Compare', 'Act']) {
    await page.getByRole('tab', { name: tab }).click();
    for (const key of ['Home', 'End']) await page.keyboard.press(key);
  }
  assert.equal(await page.evaluate(() => globalThis.hit), undefined);
  assert.equal(await page.locator('img:not(.brand img), main script').count(), 0);
  assert.deepEqual(page.wrong, []);
  await page.context().close();
  await service.remove();
});

test('a browser that denies storage shows the page as if nothing had been kept', async () => {
  const service = await Service.start();
  const { id } = await service.post('ltm', { fqn: 'app.Agent', state: { n: 0 } });
  const page = await openPage(browser, 'about:blank');
  await page.addInitScript(() => {
    for (const name of ['localStorage', 'sessionStorage']) {
      Object.defineProperty(window, name, { get() {
        throw new DOMException('denied', 'SecurityError');
      } });
    }
  });
  await page.goto(service.url);
  await live(page);
  await page.locator(`tr[data-id="${id}"] .name`).click();
  await live(page);
  await page.keyboard.press('t');
  await page.locator('html[data-theme="light"]').waitFor();
  await page.getByRole('separator', { name: 'Width of the timeline' }).press('ArrowLeft');
  assert.deepEqual(page.wrong, []);
  await page.context().close();
  await service.remove();
});

test('where a token is wanted it is asked for, kept in the tab, and shown to API and gateway', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ltm-inspector-keys-'));
  const file = join(folder, 'keys.toml');
  const made = JSON.parse(await ltm('--json', 'key', 'inspector', '--ltm', '*', '--can', 'write'));
  writeFileSync(file, made.entry);
  const service = await Service.start({ LTM__AUTH__MODE: 'required', LTM__AUTH__API_KEYS_FILE: file });
  const call = (path, body) => fetch(`${service.url}/api/v0/${path}`, { method: 'POST', headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${made.key}` }, body: JSON.stringify(body) });
  const { id } = await (await call('ltm', { fqn: 'app.Secret', name: 'secret', state: { n: 0 } })).json();

  const page = await openPage(browser, `${service.url}/#/ltm/${id}`);
  const addresses = [];
  page.on('request', (request) => addresses.push(request.url()));
  page.on('websocket', (socket) => addresses.push(socket.url()));
  await page.getByText('Enter a token').or(page.getByRole('dialog')).first().waitFor();
  if (!(await page.getByRole('dialog').isVisible())) await page.getByText('Enter a token').click();
  await page.getByLabel('Token', { exact: true }).last().fill(made.key);
  await page.getByRole('button', { name: 'Use token' }).click();
  await live(page);
  await call(`ltm/${id}/snapshots`, { reason: 'execute', merge: { n: 1 } });
  await page.locator('.where[data-index="1"]').waitFor();
  await page.goto(`${service.url}/#/`);
  await page.locator('tbody .name', { hasText: 'secret' }).waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.getItem('ltm-token')), made.key);
  assert.ok(!(await page.evaluate(() => JSON.stringify({ ...localStorage }) + document.cookie)).includes(made.key));
  assert.ok(addresses.length > 3 && addresses.every((it) => !it.includes(made.key)), 'no address has the token in it');
  assert.ok(!(await page.content()).includes(made.key));
  await page.context().close();
  await service.remove();
  rmSync(folder, { recursive: true });
});
