// A list of any length that holds only its visible rows.

import { h } from './dom.js';

/** Extra rows beyond each edge, so that scrolling shows no blank space. */
const OVERSCAN = 8;
/** The extra rows that a change of the items makes: each costs as much as one in view. Those that are there stay. */
const MARGIN = 1;
/** Browsers lay out at most about ten million pixels. */
const HIGHEST = 8_000_000;

export class VirtualList {
  #rows = new Map();
  #count = 0;
  #frame = 0;
  // As they were after the last layout: to ask the element after a change makes the browser lay out the whole page at once.
  #top = 0;
  #height = 0;
  #wanted = null;
  #atEnd = true;

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
    element.addEventListener('scroll', () => this.#look(), { passive: true });
    this.resized = new ResizeObserver(() => this.#look());
    this.resized.observe(element);
  }

  get count() {
    return this.#count;
  }

  /** Whether the end, or nearly, came into view by the last scroll. */
  get atEnd() {
    return this.#atEnd;
  }

  /** Shows this many items, and fills all rows again. If `revealed` is the index of an item, brings it into view. */
  update(count, revealed = -1) {
    this.#grow(count);
    if (revealed >= 0) this.#aim(revealed, false);
    if (this.#rows.size === 0) this.#schedule();
    this.#render(true);
  }

  /**
   * Makes rows for the items that are in view once the end is, without scrolling there: at most `most` in this call. Returns
   * whether all are there.
   */
  prepareEnd(count, most) {
    this.#grow(count);
    let made = 0;
    for (let index = Math.max(0, count - Math.ceil(this.#height / this.rowHeight) - MARGIN); index < count; index += 1) {
      if (this.#rows.has(index)) continue;
      if (made === most) return false;
      made += 1;
      this.fill(this.#place(index), index);
    }
    return true;
  }

  /** Brings an item into view with the least scrolling, or to the middle. */
  reveal(index, middle = false) {
    this.#measure();
    this.#aim(index, middle);
    this.#render(false);
  }

  #aim(index, middle) {
    const { rowHeight } = this;
    const top = index * rowHeight;
    const height = this.#height;
    const margin = Math.min(rowHeight, height / 4);
    if (middle && (top < this.#top || top + rowHeight > this.#top + height)) this.#scroll(top - height / 2 + rowHeight / 2);
    else if (top - margin < this.#top) this.#scroll(top - margin);
    else if (top + rowHeight + margin > this.#top + height) this.#scroll(top + rowHeight + margin - height);
    this.#noteEnd();
  }

  /** Scrolls after all other changes of this task, so that the browser lays out once. */
  #scroll(top) {
    this.#top = Math.max(0, Math.min(top, Math.min(this.#count * this.rowHeight, HIGHEST) - this.#height));
    if (this.#wanted === null) queueMicrotask(() => {
      this.element.scrollTop = this.#wanted;
      this.#wanted = null;
    });
    this.#wanted = this.#top;
  }

  /** Before the first layout, and after the element was hidden, its size is not known. */
  #measure() {
    if (this.#height > 0) return;
    this.#height = this.element.clientHeight;
    if (this.#wanted === null) this.#top = this.element.scrollTop;
  }

  #look() {
    const [top, height] = [this.#top, this.#height];
    if (this.#wanted === null) this.#top = this.element.scrollTop;
    this.#height = this.element.clientHeight;
    // A scroll of its own arrives here too: then all rows are there.
    const scrolled = Math.abs(top - this.#top) >= 1;
    if (scrolled) this.#noteEnd();
    if (scrolled || height !== this.#height) this.#schedule();
  }

  #noteEnd() {
    this.#atEnd = this.#top + this.#height > Math.min((this.#count - 2) * this.rowHeight, HIGHEST);
  }

  #grow(count) {
    this.#count = count;
    this.#measure();
    this.space.style.height = `${Math.min(count * this.rowHeight, HIGHEST)}px`;
  }

  /** An empty row at the place of an item. */
  #place(index) {
    const row = this.spare.pop() ?? this.make();
    this.#rows.set(index, row);
    row.style.transform = `translateY(${index * this.rowHeight}px)`;
    this.space.append(row);
    return row;
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
    const [first, last] = this.#range(OVERSCAN);
    const [from, to] = anew ? this.#range(MARGIN) : [first, last];
    for (const [index, row] of this.#rows) {
      if (index >= first && index < last) continue;
      this.#rows.delete(index);
      row.remove();
      this.spare.push(row);
    }
    for (let index = first; index < last; index += 1) {
      const row = this.#rows.get(index);
      if (row ? !anew : index < from || index >= to) continue;
      this.fill(row ?? this.#place(index), index);
    }
    this.spare.length = Math.min(this.spare.length, 40);
  }

  /** The items in view, and so many beyond each edge: from the first one to before the last one. */
  #range(beyond) {
    const first = Math.floor(this.#top / this.rowHeight) - beyond;
    const last = Math.ceil((this.#top + this.#height) / this.rowHeight) + beyond;
    return [Math.max(0, first), Math.min(this.#count, last)];
  }
}
