// The status of each LTM of a list. The list does not say it, so the states are asked for: few at once, only where something changed, and
// none that is large.

import { get } from './api.js';
import { statusOf } from './status.js';

const AT_ONCE = 4;
/** Of a state that is larger, no more than this is read, and its status stays unknown. */
const LARGEST = 512 * 1024;
const REMEMBERED = 2000;

export class Statuses {
  #known = new Map();
  #wanted = new Map();
  #running = 0;

  constructor(signal, onChange) {
    Object.assign(this, { signal, onChange });
  }

  /** The rows with what is known of their status; asks for the rest. */
  of(rows) {
    return rows.map((row) => {
      const version = `${row.snapshots_count} ${row.updated_at}`;
      const known = this.#known.get(row.id);
      if (known?.version !== version) this.#want(row.id, version);
      return { ...row, status: known?.status };
    });
  }

  #want(id, version) {
    if (this.#wanted.get(id) === 'asked') return;
    this.#wanted.set(id, version);
    this.#run();
  }

  #run() {
    for (const [id, version] of this.#wanted) {
      if (this.#running >= AT_ONCE) return;
      if (version === 'asked') continue;
      this.#wanted.set(id, 'asked');
      this.#running += 1;
      this.#ask(id, version);
    }
  }

  async #ask(id, version) {
    let status = null;
    let answered = true;
    try {
      status = await this.#read(id);
    } catch (error) {
      // It may have been deleted; or the service is away, and is asked again with the next rows.
      answered = error.status >= 400 && error.status < 500;
    }
    this.#running -= 1;
    this.#wanted.delete(id);
    if (this.signal.aborted) return;
    if (!answered) {
      this.#run();
      return;
    }
    if (this.#known.size > REMEMBERED) this.#known.clear();
    this.#known.set(id, { version, status });
    this.onChange();
    this.#run();
  }

  async #read(id) {
    const response = await get(`ltm/${id}/state`, { signal: this.signal });
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let text = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
      if (text.length <= LARGEST) continue;
      await reader.cancel();
      return null;
    }
    const answer = JSON.parse(text);
    return statusOf(answer.state ?? answer);
  }
}
