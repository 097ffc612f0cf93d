// Time travel: a slider over all snapshots, step by step, or playing them.

import { h, setAttribute, setText } from '../elements/dom.js';
import { icon } from '../elements/icons.js';
import { errorPlaces } from './step-rows.js';
import { paintTrack } from './track.js';
import { fullTime } from '../data/time.js';

/** Steps per second. */
const SPEEDS = [1, 2, 5, 20];

export class Transport {
  /** Calls `onPick` with an index, or null for the live end. */
  constructor({ onPick }) {
    this.onPick = onPick;
    const button = (label, key, name, onclick) => h('button', { class: 'icon-button', title: `${label} (${key})`, 'aria-label': label, onclick }, icon(name));
    this.play = button('Play', 'Space', 'play', () => this.toggle());
    this.slider = h('input', { type: 'range', min: '0', max: '0', step: '1', value: '0', 'aria-label': 'Snapshot', oninput: () => this.#slide() });
    this.track = h('canvas', { class: 'track', 'aria-hidden': 'true' });
    this.where = h('output', { class: 'where' });
    this.when = h('time', { class: 'when' });
    this.live = h('button', { class: 'live', 'aria-pressed': 'true', title: 'Show the latest snapshot, and follow new ones (L)', onclick: () => this.onPick(null) }, h('i', { class: 'dot', 'aria-hidden': 'true' }), 'Latest');
    this.speed = h('select', { 'aria-label': 'Speed', title: 'Speed', onchange: () => this.playing && this.#start() },
      SPEEDS.map((it) => h('option', { value: it, selected: it === 2 }, `${it}/s`)));
    this.element = h('footer', { class: 'transport', 'aria-label': 'Time travel', role: 'group' },
      h('div', { class: 'buttons' },
        button('First snapshot', 'Home', 'start', () => this.go(-Infinity)),
        button('Previous snapshot', 'K', 'left', () => this.go(-1)),
        this.play,
        button('Next snapshot', 'J', 'right', () => this.go(1)),
        button('Last snapshot', 'End', 'end', () => this.go(Infinity)),
        this.speed),
      h('div', { class: 'slide' }, this.track, this.slider),
      h('div', { class: 'readout' }, this.where, this.when),
      this.live);
    // To ask for the size at each change would make the browser lay out the page at once.
    this.size = { width: 0, height: 0 };
    new ResizeObserver((entries) => {
      this.size = entries.at(-1).contentRect;
      this.#paint();
    }).observe(this.track);
  }

  update(model) {
    const { first, last, index, live, snapshot, view } = model;
    const anew = view.snapshots !== this.model?.view.snapshots || view.errors !== this.model?.view.errors;
    this.model = model;
    setAttribute(this.slider, 'min', first);
    setAttribute(this.slider, 'max', Math.max(first, last));
    if (Number(this.slider.value) !== index) this.slider.value = index;
    setAttribute(this.slider, 'aria-valuetext', `snapshot ${index} of ${last}`);
    // Indices begin at 0: the last one is not the number of snapshots.
    this.where.replaceChildren(...(last < first ? ['no snapshots'] : [`#${index.toLocaleString('en')} · ${(last - first + 1).toLocaleString('en')}`, h('span', {}, last === first ? ' snapshot' : ' snapshots')]));
    setAttribute(this.where, 'data-index', index);
    setAttribute(this.where, 'data-last', last);
    setText(this.when, snapshot ? fullTime(snapshot.time) : '');
    setAttribute(this.live, 'aria-pressed', String(live));
    if (anew) this.#paint();
    if (this.playing && index >= last) this.#stop();
  }

  /** Moves by this many snapshots. */
  go(by) {
    this.#stop();
    this.#move(by);
  }

  toggle() {
    if (this.playing) this.#stop();
    else {
      if (this.model.index >= this.model.last) this.onPick(this.model.first);
      this.#start();
    }
  }

  destroy() {
    this.#stop();
  }

  #move(by) {
    const { first, last, index } = this.model;
    this.onPick(Math.min(last, Math.max(first, index + by)));
  }

  #slide() {
    this.#stop();
    this.onPick(Number(this.slider.value));
  }

  #start() {
    clearInterval(this.playing);
    this.playing = setInterval(() => this.#move(1), 1000 / Number(this.speed.value));
    this.#showPlaying();
  }

  #stop() {
    if (!this.playing) return;
    clearInterval(this.playing);
    this.playing = null;
    this.#showPlaying();
  }

  #showPlaying() {
    const label = this.playing ? 'Pause' : 'Play';
    this.play.replaceChildren(icon(this.playing ? 'pause' : 'play'));
    setAttribute(this.play, 'aria-label', label);
    setAttribute(this.play, 'title', `${label} (Space)`);
  }

  #paint() {
    if (!this.model) return;
    const { snapshots, errors } = this.model.view;
    paintTrack(this.track, this.size, snapshots, errorPlaces(errors, snapshots));
  }
}
