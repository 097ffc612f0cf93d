// A pane whose code the page loads when it is shown first.

import { h } from './dom.js';
import { notice, skeleton } from './notice.js';

export class LazyPane {
  #pane = null;
  #model = null;
  /** Whether it loads, or could not be loaded: then only the user has the page load again. */
  #asked = false;

  /** `load()` imports a module whose `pane(acts)` makes the pane: `{ element, update(model) }`. */
  constructor(load, acts) {
    Object.assign(this, { load, acts });
    this.element = h('div', { class: 'lazy' }, skeleton(5));
  }

  update(model) {
    this.#model = model;
    if (this.#pane) this.#pane.update(model);
    else if (!this.#asked) this.#start();
  }

  async #start() {
    this.#asked = true;
    try {
      const { pane } = await this.load();
      this.#pane = pane(this.acts);
      this.element.replaceChildren(this.#pane.element);
      this.#pane.update(this.#model);
    } catch (error) {
      // After an upgrade, the service no longer has the files of the page that is open.
      console.warn(error);
      const again = h('button', { class: 'primary', onclick: () => location.reload() }, 'Load the page again');
      this.element.replaceChildren(notice('This view could not be loaded', 'The service may be away, or has another version than this page.', again));
    }
  }
}
