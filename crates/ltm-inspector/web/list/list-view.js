// The list of LTMs.

import { h, setAttribute, setText } from '../elements/dom.js';
import { followList } from '../wire/feed.js';
import { icon } from '../elements/icons.js';
import { count } from '../data/json.js';
import { errorNotice, notice, skeleton } from '../elements/notice.js';
import { listLink, ltmLink, replace } from '../app/router.js';
import { STATUSES } from '../data/status.js';
import { ListRows } from './list-rows.js';

const PAGE = 50;

export class ListView {
  #leaving = new AbortController();
  #following = null;
  #newer = [];

  constructor({ parameters, shell, askToken }) {
    Object.assign(this, { shell, askToken });
    this.asked = Object.fromEntries(['q', 'fqn', 'status', 'before'].map((name) => [name, parameters.get(name) ?? '']));
    this.asked.playground = parameters.get('playground') === '1';
    this.page = { rows: [], next: null, status: 'connecting', error: null };
    this.rows = new ListRows({ onFqn: (fqn) => this.#ask({ fqn, before: '' }) });
    this.#build();
    shell.crumbs([]);
    document.title = 'LTM inspector';
    this.#follow();
    this.#tick();
  }

  destroy() {
    this.#leaving.abort();
    this.#following?.abort();
    clearInterval(this.ticking);
  }

  help() {
    return [['/', 'Filter the list'], ['J, K or ↓, ↑', 'Move through the list'], ['Enter', 'Open the LTM'], ['N, P', 'Older, newer LTMs']];
  }

  key(key) {
    const acts = {
      '/': () => this.input.focus(), j: () => this.rows.move(1), k: () => this.rows.move(-1), ArrowDown: () => this.rows.move(1), ArrowUp: () => this.rows.move(-1),
      n: () => this.older.disabled || this.#older(), p: () => this.newer.disabled || this.#newest(),
    };
    acts[key]?.();
    return key in acts;
  }

  #build() {
    const { asked } = this;
    this.input = h('input', {
      type: 'search', placeholder: 'Filter by name, class, key or id', 'aria-label': 'Filter LTMs', value: asked.q, spellcheck: 'false',
      oninput: () => this.#ask({ q: this.input.value }, false), onkeydown: (event) => event.key === 'Enter' && this.#open(),
    });
    this.chips = ['', ...STATUSES].map((status) => h('button', {
      class: 'chip', 'data-status': status || null, onclick: () => this.#ask({ status }, false),
    }, status ? h('i', { class: 'dot', 'aria-hidden': 'true' }) : null, status || 'All'));
    this.kinds = [false, true].map((playground) => h('button', { onclick: () => this.#ask({ playground, before: '' }) }, playground ? 'Playground' : 'Runs'));
    this.fqn = h('button', { class: 'chip removable', title: 'Show all classes again', onclick: () => this.#ask({ fqn: '', before: '' }) });
    this.tally = h('p', { class: 'tally', role: 'status' });
    this.newer = h('button', { class: 'quiet', onclick: () => this.#newest() }, icon('left'), 'Newer');
    this.older = h('button', { class: 'quiet', onclick: () => this.#older() }, 'Older', icon('right'));
    this.body = h('div', { class: 'list-body' });
    this.element = h('main', { class: 'list-view' },
      h('div', { class: 'list-head' },
        h('h1', {}, 'LTMs'),
        h('div', { class: 'segments', role: 'group', 'aria-label': 'Runs or playground' }, this.kinds)),
      h('div', { class: 'list-tools' },
        h('label', { class: 'search' }, icon('search'), this.input),
        h('div', { class: 'chips', role: 'group', 'aria-label': 'Status' }, this.chips), this.fqn),
      this.body,
      h('div', { class: 'list-foot' }, this.tally, h('div', { class: 'pages' }, this.newer, this.older)));
  }

  /** Changes the filter. Filters that apply to the page on screen need no new request. */
  #ask(wish, anew = true) {
    Object.assign(this.asked, wish);
    const { q, fqn, status, before, playground } = this.asked;
    replace(listLink({ q, fqn, status, before, playground }));
    if (anew) this.#follow();
    else this.#show();
  }

  #follow() {
    this.#following?.abort();
    this.#following = new AbortController();
    this.page = { rows: [], next: null, status: 'connecting', error: null };
    const { playground, fqn, before } = this.asked;
    followList({ playground, fqn, before, limit: PAGE }, (page) => {
      this.page = page;
      this.#show();
    }, this.#following.signal);
    this.#show();
  }

  #older() {
    this.#newer.push(this.asked.before);
    this.#ask({ before: this.page.next });
  }

  #newest() {
    this.#ask({ before: this.#newer.pop() ?? '' });
  }

  /** Opens the only LTM that matches, or the LTM whose id the user typed. */
  #open() {
    const shown = this.#shown();
    const id = /^#?(\d{1,20})$/.exec(this.asked.q.trim())?.[1];
    const target = shown.length === 1 ? shown[0].id : id;
    if (target !== undefined) location.hash = ltmLink(target);
  }

  #shown() {
    const wanted = this.asked.q.trim().toLocaleLowerCase().replace(/^#/, '');
    const { status } = this.asked;
    return this.page.rows.filter((row) => (!status || row.status === status)
      && (!wanted || `${row.name} ${row.fqn} ${row.key ?? ''} ${row.id}`.toLocaleLowerCase().includes(wanted)));
  }

  #show() {
    const { page, asked } = this;
    const shown = this.#shown();
    this.chips.forEach((chip, i) => setAttribute(chip, 'aria-pressed', String(['', ...STATUSES][i] === asked.status)));
    this.kinds.forEach((button, i) => setAttribute(button, 'aria-pressed', String(Boolean(i) === asked.playground)));
    this.fqn.hidden = !asked.fqn;
    if (asked.fqn) this.fqn.replaceChildren(h('code', {}, asked.fqn), icon('close'));
    this.shell.connection(page.status, page.error);
    this.newer.disabled = !asked.before;
    this.older.disabled = page.next === null;
    setText(this.tally, page.rows.length === 0 ? '' : shown.length === page.rows.length ? count(shown.length, 'LTM') + (asked.before || page.next ? ' on this page' : '') : `${shown.length} of ${count(page.rows.length, 'LTM')} on this page`);
    const inPlace = this.#notice(shown);
    const place = inPlace ?? this.rows.element;
    if (!inPlace) this.rows.show(shown);
    if (this.body.firstChild !== place) this.body.replaceChildren(place);
  }

  /** The notice to show in place of rows, if any. */
  #notice(shown) {
    const { rows, status, error } = this.page;
    if (status === 'failed') {
      const token = error.status === 401 || error.status === 403;
      return errorNotice(error, token ? h('button', { class: 'primary', onclick: this.askToken }, icon('key'), 'Enter a token') : '');
    }
    if (shown.length > 0) return null;
    if (rows.length > 0) return this.#nothingMatches();
    if (status === 'connecting') return (this.loading ??= skeleton(6));
    if (status === 'reconnecting') return (this.away ??= errorNotice(error));
    if (this.asked.before) return notice('No older LTMs', 'This is the end of the list.', h('button', { class: 'quiet', onclick: () => this.#ask({ before: '' }) }, 'Go to the newest'));
    if (this.asked.fqn) return notice('No LTM of this class', `No LTM has the class ${this.asked.fqn}.`, h('button', { class: 'quiet', onclick: () => this.#ask({ fqn: '' }) }, 'All classes'));
    return (this.empty ??= firstSteps());
  }

  #nothingMatches() {
    const id = /^#?(\d{1,20})$/.exec(this.asked.q.trim())?.[1];
    const key = `${this.asked.q} ${this.asked.status}`;
    if (this.unmatched?.key === key) return this.unmatched.element;
    const element = notice('Nothing matches', 'The filter applies only to the LTMs on this page.',
      id ? h('a', { class: 'button primary', href: ltmLink(id) }, `Open LTM ${id}`) : '',
      h('button', { class: 'quiet', onclick: () => {
        this.input.value = '';
        this.#ask({ q: '', status: '' }, false);
      } }, 'Clear the filter'));
    this.unmatched = { key, element };
    return element;
  }

  /** Keeps the ages up to date. */
  #tick() {
    this.ticking = setInterval(() => this.rows.age(), 5000);
  }
}

function firstSteps() {
  const example = `curl ${location.origin}/api/v0/ltm -H 'Content-Type: application/json' -d '{"fqn": "app.Agent", "state": {"todo": ["plan", "write"]}}'`;
  return notice('No LTMs yet', h('p', {}, 'An LTM appears here as soon as an engine creates it. Try it:'), h('pre', { tabindex: '0' }, example));
}
