// Chromium, and a page of another origin than the services in which the built client runs.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const dist = new URL('../../dist/', import.meta.url);

export class Browser {
  /** Starts it; `scripts` are served beside the client, `options` are those of Chromium's command line. */
  static async start(scripts = {}, options = []) {
    const browser = new Browser();
    browser.server = createServer((request, response) => {
      const name = request.url.slice(1);
      const script = name === 'ltm-live.min.js' ? readFileSync(new URL(name, dist)) : scripts[name];
      const type = script === undefined || name.endsWith('.html') ? 'text/html' : 'text/javascript';
      response.writeHead(200, { 'Content-Type': type }).end(script ?? '<!doctype html><title>test</title><body></body>');
    });
    browser.server.unref();
    browser.server.listen(0, '127.0.0.1');
    await new Promise((resolve) => browser.server.once('listening', resolve));
    browser.url = `http://127.0.0.1:${browser.server.address().port}/`;
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
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    rmSync(this.folder, { recursive: true, force: true });
  }
}
