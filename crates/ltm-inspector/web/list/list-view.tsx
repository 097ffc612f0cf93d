// The list of LTMs: what the bar, the keys and the URL need of it.

import { effect } from '@preact/signals';
import { render } from 'preact';
import { listLink, ltmLink, replace } from '../app/router.js';
import { EVERYTHING, fromUrl, idOf, narrows, toUrl, type Filter } from './filter.js';
import { ListModel } from './list-model.js';
import { ListPage } from './list-page.js';

interface Shell {
  connection(status: string, error?: Error): void;
  crumbs(items: readonly { label: string }[]): void;
}

export class ListView {
  readonly element = document.createElement('main');
  readonly #model: ListModel;
  readonly #stops: (() => void)[];
  /** Where the newer pages began. */
  readonly #newer: string[] = [];
  #chosen: string | null = null;

  constructor({ parameters, shell, askToken }: { parameters: URLSearchParams; shell: Shell; askToken(): void }) {
    const model = new ListModel(fromUrl(parameters));
    this.#model = model;
    this.element.className = 'list-view';
    shell.crumbs([]);
    document.title = 'LTM inspector';
    const acts = { ask: (wish: Partial<Filter>) => this.#ask(wish), clear: () => this.#clear(), open: (text: string) => this.#open(text), older: () => this.#older(), newest: () => this.#newest(), askToken };
    render(<ListPage model={model} acts={acts} />, this.element);
    this.#stops = [
      effect(() => replace(listLink(toUrl(model.filter.value)))),
      effect(() => {
        const { status, error } = model.view.value;
        shell.connection(model.missing.value ? 'missing' : status, error);
      }),
    ];
  }

  destroy(): void {
    this.#stops.forEach((stop) => stop());
    this.#model.destroy();
    render(null, this.element);
  }

  help(): [string, string][] {
    return [['/', 'Search the list'], ['J, K or ↓, ↑', 'Move through the list'], ['Enter', 'Open the LTM'], ['N, P', 'Older, newer LTMs']];
  }

  key(key: string): boolean {
    const acts: Record<string, () => void> = {
      '/': () => this.element.querySelector('input')?.focus(),
      j: () => this.#move(1),
      k: () => this.#move(-1),
      ArrowDown: () => this.#move(1),
      ArrowUp: () => this.#move(-1),
      n: () => this.#older(),
      p: () => this.#newest(),
    };
    acts[key]?.();
    return key in acts;
  }

  #ask(wish: Partial<Filter>): void {
    this.#newer.length = 0;
    this.#model.ask(wish);
  }

  #clear(): void {
    const { playground } = this.#model.filter.peek();
    this.#ask({ ...EVERYTHING, playground });
  }

  #older(): void {
    const { next } = this.#model.view.peek();
    if (next === null) return;
    this.#newer.push(this.#model.filter.peek().before);
    this.#model.ask({ before: next });
  }

  #newest(): void {
    if (this.#model.filter.peek().before) this.#model.ask({ before: this.#newer.pop() ?? '' });
  }

  /** Opens the only LTM that matches once the list has it, or the LTM whose id the user typed. */
  #open(text: string): void {
    const id = idOf(text);
    if (id !== undefined) {
      location.hash = ltmLink(id);
      return;
    }
    const { filter, view } = this.#model;
    const asked = filter.peek();
    if (!narrows(asked)) return;
    const stop = effect(() => {
      const { status, rows } = view.value;
      if (filter.value !== asked) queueMicrotask(() => stop());
      else if (status !== 'connecting') {
        if (rows?.length === 1) location.hash = ltmLink(rows[0]!.id);
        queueMicrotask(() => stop());
      }
    });
    this.#stops.push(stop);
  }

  /** Moves the focus through the links. */
  #move(by: number): void {
    const links = [...this.element.querySelectorAll<HTMLAnchorElement>('a.name')];
    if (links.length === 0) return;
    const now = links.findIndex((link) => link === document.activeElement);
    const from = now >= 0 ? now : links.findIndex((link) => link.getAttribute('href') === this.#chosen);
    const next = links[Math.min(links.length - 1, Math.max(0, from < 0 ? 0 : from + by))]!;
    this.#chosen = next.getAttribute('href');
    next.focus();
  }
}
