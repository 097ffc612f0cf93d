// Takes the moving picture in README.md: a run of an agent in the inspector, from the list to the end.
//
//   cargo build --bin ltm && npm run animation       needs img2webp (Debian: webp)

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Service, at, live, openBrowser, openPage } from '../tests/stand/stand.js';
import { agent, others } from './demo.mjs';

const file = fileURLToPath(new URL('../../../docs/inspector/run.webp', import.meta.url));
/** README.md loads it with the page. */
const LARGEST = 1024 * 1024;
const QUALITY = '60';

const [service, browser] = await Promise.all([Service.start(), openBrowser()]);
const post = (path, body) => service.post(path, body);
await others(post);
const { id, run } = await agent(post);
const page = await openPage(browser, service.url, { width: 1120, height: 660, theme: 'light', reducedMotion: 'reduce' });
await live(page);

const folder = mkdtempSync(join(tmpdir(), 'ltm-animation-'));
const frames = [];
/** Takes what the page shows, for so long. The picture moves at its own pace, however fast the machine is. */
async function take(ms) {
  // The page draws at the next frame, and loads a tab with its first.
  await page.waitForTimeout(250);
  const path = join(folder, `${String(frames.length).padStart(3, '0')}.png`);
  await page.screenshot({ path });
  frames.push([path, ms]);
}

const row = page.locator(`tr[data-id="${id}"]`);
await row.locator('.name').waitFor();
await take(1200);
await row.locator('.name').click();
// Nothing is under the pointer.
await page.mouse.move(560, 4);
await live(page);
await take(900);
for (const step of run) {
  await step();
  const { snapshots, first_index: first } = await service.get(`ltm/${id}`);
  await at(page, `${first + snapshots.length - 1} of ${first + snapshots.length - 1}`);
  await take(520);
}
// Back to where it failed, and forth.
await page.keyboard.press('Home');
for (const index of [6, 12, 16, 18]) {
  await page.getByLabel('Snapshot', { exact: true }).evaluate((element, value) => {
    element.value = value;
    element.dispatchEvent(new Event('input'));
  }, index);
  await at(page, `${index} of \\d+`);
  await take(index === 18 ? 1600 : 600);
}
for (const [tab, shown, ms] of [['Changes', '.operations', 1500], ['Errors', '.errors .card', 1700], ['Waterfall', '.bar-row', 2600]]) {
  await page.getByRole('tab', { name: tab }).click();
  await page.locator(shown).first().waitFor();
  await take(ms);
}
await page.getByRole('button', { name: 'Latest' }).click();
await take(2600);
await browser.close();
await service.remove();

execFileSync('img2webp', ['-loop', '0', '-min_size', ...frames.flatMap(([path, ms]) => ['-lossy', '-q', QUALITY, '-m', '6', '-d', String(ms), path]), '-o', file], { stdio: ['ignore', 'ignore', 'inherit'] });
rmSync(folder, { recursive: true });
const { size } = statSync(file);
console.log(`${file}: ${(size / 1024).toFixed(0)} KiB, ${frames.length} pictures, ${(frames.reduce((sum, [, ms]) => sum + ms, 0) / 1000).toFixed(1)} s`);
if (size > LARGEST) throw new Error(`more than ${LARGEST / 1024} KiB`);
