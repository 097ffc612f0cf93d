// The real services: `ltm dev` with a Redis of its own.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './until.mjs';

const root = fileURLToPath(new URL('../../../..', import.meta.url));
export const ltm = process.env.LTM_BIN ?? join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'debug', 'ltm');

process.setMaxListeners(100);

export class Services {
  /** Starts them; settings are variables such as LTM__AUTH__MODE. */
  static async start(settings = {}) {
    if (!existsSync(ltm)) {
      throw new Error(`${ltm} is missing: cargo build --locked --bin ltm`);
    }
    const services = new Services();
    services.settings = settings;
    services.folder = mkdtempSync(join(tmpdir(), 'ltm-js-'));
    services.port = await freePort();
    services.url = `http://127.0.0.1:${services.port}`;
    await services.run();
    return services;
  }

  async run() {
    const args = ['dev', '--listen', `127.0.0.1:${this.port}`, '--data-dir', join(this.folder, 'data')];
    const env = { ...process.env, LTM__LOG__LEVEL: 'error', ...this.settings };
    this.process = spawn(ltm, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
    // Where a test fails, nothing is left behind.
    const child = this.process;
    process.once('exit', () => child.kill('SIGTERM'));
    this.exited = new Promise((resolve) => this.process.once('exit', resolve));
    let ended = false;
    this.exited.then(() => (ended = true));
    await until(async () => {
      if (ended) throw new Error('ltm dev has ended');
      return (await fetch(`${this.url}/readyz`).catch(() => undefined))?.ok;
    });
  }

  /** Ends them without a word. */
  async kill() {
    this.process.kill('SIGKILL');
    await this.exited;
  }

  /** Ends them as a deploy does. */
  async terminate() {
    this.process.kill('SIGTERM');
    await this.exited;
  }

  async stop() {
    await this.terminate();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async ask(method, path, { body, token, headers = {} } = {}) {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        ...(body && { 'Content-Type': 'application/json' }),
        ...(token && { Authorization: `Bearer ${token}` }),
        ...headers,
      },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  }

  document(id, token) {
    return this.ask('GET', `/api/v0/ltm/${id}?rollbacks=true`, { token });
  }

  /** An API key, and the entry in the file of keys that makes it one. */
  static key(name, pattern, can) {
    const text = execFileSync(ltm, ['--json', 'key', name, '--ltm', pattern, '--can', can], { encoding: 'utf8' });
    return JSON.parse(text);
  }
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
