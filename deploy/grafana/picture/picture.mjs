// Draws the dashboard into a file, with the last minutes of a Prometheus:
//
//   node picture.mjs http://127.0.0.1:9090 10 dashboard.png
//
// Fails if a panel has no data, or if the page reports an error.

import { readFile } from 'node:fs/promises';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const [prometheus, minutes, file] = process.argv.slice(2);
const here = (path) => new URL(path, import.meta.url);
const ICONS = 'node_modules/@grafana/ui/dist/public/img/icons/';
const SITE = 'http://dashboard.test/';

/** The page with its script inline. */
async function page() {
  const { outputFiles } = await build({
    entryPoints: [here('page.jsx').pathname],
    bundle: true,
    write: false,
    outdir: 'out',
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
    loader: { '.woff': 'dataurl', '.woff2': 'dataurl', '.ttf': 'empty' },
    logLevel: 'error',
  });
  const text = (ending) => outputFiles.find(({ path }) => path.endsWith(ending)).text;
  const script = text('.js').replaceAll('</script', '<\\/script');
  return `<!doctype html><meta charset="utf-8"><style>${text('.css')}</style><body><div id="root"></div><script>${script}</script>`;
}

/** Serves the page, Grafana's icons and Prometheus from one origin. */
async function serve(route) {
  const { pathname } = new URL(route.request().url());
  const [, icon] = pathname.split('/img/icons/');
  if (pathname.startsWith('/api/')) return route.fulfill({ response: await route.fetch({ url: prometheus + pathname }) });
  if (icon) return route.fulfill({ body: await readFile(here(ICONS + icon)), contentType: 'image/svg+xml' });
  return route.fulfill({ body: html, contentType: 'text/html' });
}

/** The scrape interval that is configured for Grafana's data source. */
async function scrapeInterval() {
  const provisioned = await readFile(here('../provisioning/datasources/ltm-live.yml'), 'utf8');
  return provisioned.match(/timeInterval: (\w+)/)[1];
}

const html = await page();
const dashboard = JSON.parse(await readFile(here('../dashboards/ltm-live.json'), 'utf8'));
const wrong = [];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
try {
  const tab = await browser.newPage({ viewport: { width: 1600, height: 900 }, timezoneId: 'UTC' });
  tab.on('pageerror', (error) => wrong.push(error.stack));
  tab.on('console', (message) => message.type() === 'error' && wrong.push(message.text()));
  await tab.route(`${SITE}**`, (route) => serve(route).catch((error) => {
    wrong.push(error.message);
    return route.abort();
  }));
  await tab.goto(SITE);
  const settings = { dashboard, minutes: Number(minutes), scrapeInterval: await scrapeInterval() };
  const empty = await tab.evaluate((all) => window.draw(all), settings);
  await tab.locator('#dashboard').waitFor({ timeout: 10_000 });
  await tab.waitForLoadState('networkidle');
  await tab.evaluate(() => document.fonts.ready);
  await tab.locator('#dashboard').screenshot({ path: file, animations: 'disabled' });
  wrong.push(...empty.map((title) => `no data in panel: ${title}`));
} catch (error) {
  wrong.push(error.stack);
} finally {
  await browser.close();
}
for (const text of wrong) console.error(text);
process.exitCode = wrong.length ? 1 : 0;
