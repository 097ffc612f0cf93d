// A list of any length that holds only its visible rows.

import { h } from './dom.js';

/** Extra rows beyond each edge, so that scrolling shows no blank space. */
const OVERSCAN = 8;
/** Browsers lay out at most about ten million pixels. */
const HIGHEST = 8_000_000;

export class VirtualList {
  #rows = new Map();
  #count = 0;
  #frame = 0;

  /**
   * `make()` returns an empty row; `fill(row, index)` shows an item in it.
   * All rows have the same height, which the style sheet sets, too.
   */
  constructor(element, { rowHeight, make, fill }) {
    this.element = element;
    this.rowHeight = rowHeight;
    this.make = make;
    this.fill = fill;
    this.spare = [];
    this.space = h('div', { class: 'virtual-space', role: 'presentation' });
    element.append(this.space);
    element.addEventListener('scroll', () => this.#schedule(), { passive: true });
    this.resized = new ResizeObserver(() => this.#schedule());
    this.resized.observe(element);
  }

  get count() {
    return this.#count;
  }

  /** Shows this many items, and fills all rows again. */
  update(count) {
    this.#count = count;
    this.space.style.height = `${Math.min(count * this.rowHeight, HIGHEST)}px`;
    this.#render(true);
  }

  /** Brings an item into view with the least scrolling, or to the middle. */
  reveal(index, middle = false) {
    const { element, rowHeight } = this;
    const top = index * rowHeight;
    const height = element.clientHeight;
    const margin = Math.min(rowHeight, height / 4);
    if (middle && (top < element.scrollTop || top + rowHeight > element.scrollTop + height)) {
      element.scrollTop = top - height / 2 + rowHeight / 2;
    } else if (top - margin < element.scrollTop) element.scrollTop = top - margin;
    else if (top + rowHeight + margin > element.scrollTop + height) element.scrollTop = top + rowHeight + margin - height;
    this.#render(false);
  }

  /** The row of an item, if it is in view. */
  row(index) {
    return this.#rows.get(index);
  }

  destroy() {
    this.resized.disconnect();
    cancelAnimationFrame(this.#frame);
  }

  #schedule() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#render(false);
    });
  }

  #render(anew) {
    const { element, rowHeight } = this;
    const first = Math.max(0, Math.floor(element.scrollTop / rowHeight) - OVERSCAN);
    const last = Math.min(this.#count, Math.ceil((element.scrollTop + element.clientHeight) / rowHeight) + OVERSCAN);
    for (const [index, row] of this.#rows) {
      if (index >= first && index < last) continue;
      this.#rows.delete(index);
      row.remove();
      this.spare.push(row);
    }
    for (let index = first; index < last; index += 1) {
      let row = this.#rows.get(index);
      if (row && !anew) continue;
      if (!row) {
        row = this.spare.pop() ?? this.make();
        this.#rows.set(index, row);
        row.style.transform = `translateY(${index * rowHeight}px)`;
        this.space.append(row);
      }
      this.fill(row, index);
    }
    this.spare.length = Math.min(this.spare.length, 40);
  }
}
