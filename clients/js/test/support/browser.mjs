// Chromium, and a page of another origin than the services in which the built client runs.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { servePages } from './pages.mjs';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export class Browser {
  /** Starts it; `scripts` are served beside the client, `options` are those of Chromium's command line. */
  static async start(scripts = {}, options = []) {
    const browser = new Browser();
    browser.pages = await servePages(scripts);
    browser.url = browser.pages.url;
    browser.folder = mkdtempSync(join(tmpdir(), 'ltm-js-chromium-'));
    browser.context = await chromium.launchPersistentContext(browser.folder, { executablePath, args: [...args, ...options], headless: true });
    return browser;
  }

  /** A page that has the client as `window.ltm`. What it throws fails the test. */
  async page() {
    const page = await this.context.newPage();
    page.on('pageerror', (error) => {
      throw error;
    });
    await page.goto(this.url);
    await page.evaluate(async () => {
      window.ltm = await import('/ltm-live.min.js');
    });
    return page;
  }

  async stop() {
    await this.context.close();
    await this.pages.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
