// Services that ask who calls, and the tokens that they take.
import { createHmac, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Producer } from '../../dist/index.js';
import { Services } from './services.mjs';

export class Guarded {
  /** Starts them; settings are variables such as LTM__API__MAX_BODY. */
  static async start(settings = {}) {
    const guarded = new Guarded();
    guarded.folder = mkdtempSync(join(tmpdir(), 'ltm-js-key-'));
    guarded.secret = randomBytes(32).toString('hex');
    const file = join(guarded.folder, 'secret');
    writeFileSync(file, guarded.secret);
    guarded.services = await Services.start({
      LTM__AUTH__MODE: 'required',
      LTM__AUTH__AUDIENCE: 'ltm-live',
      LTM__AUTH__LEEWAY: '0s',
      LTM__AUTH__JWT_KEY_FILE: file,
      LTM__AUTH__JWT_ALGORITHM: 'HS256',
      ...settings,
    });
    guarded.url = guarded.services.url;
    guarded.admin = guarded.token('*', 'admin', 3600);
    guarded.producer = new Producer(guarded.url, { token: guarded.admin });
    return guarded;
  }

  /** A token for so many seconds. */
  token(ltm, can, seconds) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const exp = Math.floor(Date.now() / 1000) + seconds;
    const said = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: 'me', aud: 'ltm-live', exp, ltm, can })}`;
    return `${said}.${createHmac('sha256', this.secret).update(said).digest('base64url')}`;
  }

  async stop() {
    await this.services.stop();
    rmSync(this.folder, { recursive: true });
  }
}
