// Takes the pictures in docs/inspector, of a service of its own.
//
//   cargo build --bin ltm && npm run screenshots

import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { Service, at, live, openBrowser, openPage } from '../tests/browser/stand.js';
import { fill } from './demo.mjs';

const folder = fileURLToPath(new URL('../../../docs/inspector/', import.meta.url));
mkdirSync(folder, { recursive: true });

/** A third of the size, with colours that nobody tells apart; where ImageMagick is. */
function shrink(file) {
  try {
    execFileSync('convert', [file, '-dither', 'None', '-colors', '200', `PNG8:${file}`]);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
}

const [service, browser] = await Promise.all([Service.start(), openBrowser()]);
const id = await fill((path, body) => service.post(path, body));

const wide = { width: 1360, height: 820 };
const views = [
  ['list', '#/', wide],
  ['machine', `#/ltm/${id}?at=19`, wide],
  ['state', `#/ltm/${id}`, wide],
  ['changes', `#/ltm/${id}?at=25&tab=changes`, wide],
  ['step', `#/ltm/${id}?at=3&tab=step`, wide],
  ['errors', `#/ltm/${id}?tab=errors`, wide],
  ['rollbacks', `#/ltm/${id}?tab=rollbacks`, wide],
  ['phone', `#/ltm/${id}?at=12`, { width: 390, height: 780 }],
];
for (const theme of ['light', 'dark']) {
  for (const [name, hash, size] of views) {
    const page = await openPage(browser, `${service.url}/${hash}`, { ...size, theme, reducedMotion: 'reduce' });
    await live(page);
    const place = /at=(\d+)/.exec(hash)?.[1];
    if (place) await at(page, `${place} of \\d+`);
    await page.waitForTimeout(400);
    const file = `${folder}${name}-${theme}.png`;
    await page.screenshot({ path: file });
    shrink(file);
    await page.context().close();
  }
}
await browser.close();
await service.remove();
