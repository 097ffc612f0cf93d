// The programs that a reader starts: the services, a web server for the pages, and a browser.
import { execFileSync, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Browser } from '../../../clients/js/test/support/browser.mjs';
import { freePort, ltm, Services } from '../../../clients/js/test/support/services.mjs';
import { until } from '../../../clients/js/test/support/until.mjs';
import { lines } from './readme.mjs';

export const root = fileURLToPath(new URL('../../..', import.meta.url));

export class Site {
  static async start() {
    const site = new Site();
    try {
      site.services = await Services.start();
      // The browser resolves localhost:8000 to the services, so the examples run as they are.
      site.browser = await Browser.start({}, [`--host-resolver-rules=MAP localhost 127.0.0.1:${site.services.port}`]);
      await site.serve();
    } catch (error) {
      await site.stop();
      throw error;
    }
    return site;
  }

  /** Runs the web server command of the README on a free port. */
  async serve() {
    const port = await freePort();
    const command = lines('examples/README.md').find((line) => line.includes('http.server'));
    const [name, ...args] = command.replace('8080', port).split(/\s+/);
    this.server = spawn(name, args, { cwd: root, stdio: 'ignore' });
    process.once('exit', () => this.server.kill());
    this.url = `http://127.0.0.1:${port}/examples`;
    await until(async () => {
      if (this.server.exitCode !== null) throw new Error(`${command} has ended`);
      return (await fetch(this.url).catch(() => undefined))?.ok;
    });
  }

  /** Opens an example's page. `until` waits for a condition in the page; an error that the page throws fails it. */
  async open(path, id) {
    const page = await this.browser.context.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(error));
    page.until = (holds, arg) =>
      page.waitForFunction(holds, arg).catch(async (error) => {
        throw errors[0] ?? new Error(`${error.message}\n${await page.evaluate(() => document.body.innerText)}`);
      });
    page.noErrors = () => {
      if (errors.length) throw errors[0];
    };
    await page.goto(`${this.url}/${path}/?ltm=${id}`);
    return page;
  }

  /** Runs `ltm` on the services. Returns its output. */
  ltm(...args) {
    const env = { ...process.env, LTM_URL: this.services.url };
    return execFileSync(ltm, args, { cwd: root, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  async stop() {
    this.server?.kill();
    await this.browser?.stop();
    await this.services?.stop();
  }
}
