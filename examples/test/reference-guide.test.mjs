// A page that follows Flou's guide ends with the state that the API has.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { root, Site } from './support/site.mjs';

let site;
let folder;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ltm-examples-'));
  site = await Site.start();
});
after(async () => {
  await site?.stop();
  rmSync(folder, { recursive: true });
});

/** A page with the first snapshot of a recorded history, and a file with the other snapshots. */
async function begin(name) {
  const file = join(root, 'tests/data', `${name}.json`);
  const { id } = JSON.parse(site.ltm('--json', 'play', file, '--limit', '1', '--speed', 'max'));
  // One snapshot per line, as text: JavaScript would not keep all digits of the numbers.
  const snapshots = [...readFileSync(file, 'utf8').matchAll(/^ +(\{"time": .*\}),?$/gm)].map(([, text]) => text);
  const rest = join(folder, `${name}.jsonl`);
  writeFileSync(rest, snapshots.slice(1).join('\n'));
  const page = await site.open('reference-guide', id);
  // The guide reports that it is connected: the page receives every later entry.
  await page.until(() => document.getElementById('connected').textContent);
  return { id, page, rest, length: snapshots.length };
}

/** Waits until the page has `count` snapshots, then compares its state with the API. */
async function same({ id, page }, count) {
  await page.until((count) => document.getElementById('count').textContent === String(count), count);
  const document = await site.services.ask('GET', `/api/v0/ltm/${id}`);
  assert.equal(document.snapshots.length, count);
  assert.equal(document.snapshots_count, count);
  assert.deepEqual(JSON.parse(await page.locator('#state').textContent()), document.state);
  page.noErrors();
  return document;
}

for (const name of ['tutorial', 'lists', 'type_changes', 'patch_ops']) {
  test(`the guide's page follows ${name}, and a rollback`, async () => {
    const followed = await begin(name);
    const { id, page, rest, length } = followed;
    site.ltm('append', id, rest);
    const { state } = await same(followed, length);
    site.ltm('rollback', id, '--to', '4');
    assert.notDeepEqual((await same(followed, 5)).state, state);
    site.ltm('append', id, '--merge', '{"after": "the rollback"}');
    assert.equal((await same(followed, 6)).state.after, 'the rollback');
    await page.close();
  });
}

test("the guide's page follows an undone rollback: it fetches the document again", async () => {
  const followed = await begin('lists');
  const { id, page, rest, length } = followed;
  site.ltm('append', id, rest);
  await same(followed, length);
  site.ltm('rollback', id, '--to', '0');
  await same(followed, 1);
  site.ltm('rollback', id, '--undo', '0');
  await same(followed, length);
  await page.close();
});
