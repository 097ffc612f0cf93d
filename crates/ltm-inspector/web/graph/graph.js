// The machine as a picture: boxes coloured by status, with marks for what the snapshot executed. Pointer and buttons move and zoom it.

import { pointerBelow, valueAt } from 'ltm-live';
import { h, s, setAttribute } from '../elements/dom.js';
import { clipped, draw } from './drawing.js';
import { icon } from '../elements/icons.js';
import { machineOf, ranIn, signature, walk } from './machine.js';
import { statusOf, toneOf } from '../data/status.js';
import { Viewport } from './viewport.js';

export class MachinePane {
  #drawn = null;
  #boxes = new Map();
  #edges = [];

  /** Calls `onPick` with the pointer of the chosen state. */
  constructor({ onPick }) {
    this.onPick = onPick;
    this.scene = s('g', {});
    this.svg = s('svg', { class: 'graph', role: 'group', 'aria-label': 'The machine' }, markers(), this.scene);
    this.viewport = new Viewport(this.svg, this.scene);
    const button = (label, name, onclick) => h('button', { class: 'icon-button', title: label, 'aria-label': label, onclick }, icon(name));
    this.element = h('section', { class: 'pane machine', 'aria-label': 'Machine' },
      this.svg,
      h('div', { class: 'graph-tools' },
        button('Zoom in', 'plus', () => this.viewport.zoom(1.25)),
        button('Zoom out', 'minus', () => this.viewport.zoom(0.8)),
        button('Show the whole machine', 'fit', () => this.viewport.fit())),
      legend());
    new ResizeObserver(([{ contentRect: { width, height } }]) => this.#resized({ width, height })).observe(this.svg);
  }

  update({ view, state, snapshot }) {
    if (state === undefined) return;
    const machine = machineOf(view.structure, view.concurrent_instances, state);
    this.machine = machine;
    const form = signature(machine);
    if (form !== this.form) {
      this.form = form;
      this.#redraw();
    }
    this.#paint(state, snapshot);
  }

  zoom(factor) {
    this.viewport.zoom(factor);
  }

  fit() {
    this.viewport.fit();
  }

  #resized(room) {
    const { width, height } = room;
    if (width === 0 || height === 0) return;
    this.room = room;
    this.viewport.resize(room);
    if (!this.machine) return;
    const chosen = draw(this.machine, width, height);
    if (this.#drawn && chosen.form !== this.#drawn.form) {
      this.#redraw();
      this.#paint(this.state, this.snapshot);
    }
  }

  #redraw() {
    const { width, height } = this.room ?? { width: 600, height: 500 };
    const drawing = draw(this.machine, width, height);
    this.#drawn = drawing;
    this.#boxes.clear();
    const boxes = drawing.boxes.map((box) => this.#box(box));
    this.#edges = drawing.edges.map((edge) => ({ edge, element: line(edge) }));
    const starts = drawing.starts.map(({ x, y }) => s('circle', { class: 'begin', cx: x, cy: y, r: 5 }));
    const labels = this.#edges.map(({ edge, element }) => (element.labels = label(edge)));
    this.scene.replaceChildren(...boxes, ...this.#edges.map(({ element }) => element), ...starts, ...labels);
    this.viewport.show(drawing);
  }

  #box({ node, x, y, w, h: height }) {
    const pointer = node.path.reduce(pointerBelow, '');
    const pick = () => this.onPick(pointer);
    const isState = node.kind === 'state';
    const middle = isState ? height / 2 : 17;
    const parts = [
      s('title', {}, node.name),
      s('rect', { class: 'box', width: w, height, rx: isState ? 9 : 12 }),
      node.kind === 'group' ? null : s('circle', { class: 'dot', cx: 17, cy: middle, r: 4.5 }),
      s('text', { class: 'name', x: node.kind === 'group' ? 14 : 29, y: middle, dy: '.35em' }, clipped(node.name)),
    ];
    if (node.kind === 'group') {
      parts.push(s('text', { class: 'count', x: w - 14, y: middle, dy: '.35em' }, `× ${node.names.length}`));
      const note = node.hidden > 0 ? `and ${node.hidden} more` : node.children.length === 0 ? 'none yet' : null;
      if (note) parts.push(s('text', { class: 'note', x: w / 2, y: height - 20 }, note));
    } else if (node.hidden > 0) parts.push(s('text', { class: 'count', x: w - 14, y: middle, dy: '.35em' }, `and ${node.hidden} more`));
    const onkeydown = (event) => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      event.stopPropagation();
      pick();
    };
    const active = node.kind === 'group' ? {} : { tabindex: '0', role: 'button', onclick: pick, onkeydown };
    const element = s('g', { class: `node ${node.kind}`, transform: `translate(${x},${y})`, ...active }, parts);
    this.#boxes.set(node.id, { node, pointer, element, x, y, w, h: height });
    return element;
  }

  /** Shows the statuses and what the snapshot executed. Moves nothing. */
  #paint(state, snapshot) {
    Object.assign(this, { state, snapshot });
    const ran = ranIn(this.machine, snapshot);
    for (const [id, { node, pointer, element }] of this.#boxes) {
      if (node.kind === 'group') continue;
      const status = statusOf(valueAt(state, pointer));
      setAttribute(element, 'data-status', toneOf(status));
      setAttribute(element, 'data-ran', ran.state === id ? 'yes' : null);
      setAttribute(element, 'aria-label', `${node.name}: ${status ?? 'no status'}${ran.state === id ? ', executed in this step' : ''}`);
    }
    for (const { edge, element } of this.#edges) {
      const taken = edge.keys?.some((key) => ran.transitions.has(key)) ?? false;
      setAttribute(element, 'data-ran', taken ? 'yes' : null);
      for (const [i, text] of [...element.labels.querySelectorAll('text')].entries()) {
        setAttribute(text, 'data-ran', ran.transitions.has(edge.labels[i].key) ? 'yes' : null);
      }
    }
    this.viewport.follow(this.#centre(ran));
    const counts = new Map();
    for (const node of walk(this.machine)) {
      const status = node.kind === 'state' ? statusOf(valueAt(state, node.path.reduce(pointerBelow, ''))) : null;
      if (status) counts.set(status, (counts.get(status) ?? 0) + 1);
    }
    const summary = [...counts].map(([status, count]) => `${count} ${status}`).join(', ');
    setAttribute(this.svg, 'aria-label', `Machine ${this.machine.name}: ${summary || 'no states'}`);
  }

  /** The box to keep in view: the executed state, else a queued or active one, else the first. */
  #centre(ran) {
    const states = [...this.#boxes.values()].filter(({ node }) => node.kind === 'state');
    const shows = (status) => states.find(({ element }) => element.dataset.status === status);
    return this.#boxes.get(ran.state) ?? shows('queued') ?? shows('active') ?? states[0] ?? null;
  }
}

function markers() {
  const marker = (id) => s('marker', { id, class: id, viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, markerUnits: 'userSpaceOnUse', orient: 'auto' }, s('path', { d: 'M0.500 0.800 7.500 4 0.500 7.200z' }));
  return s('defs', {}, marker('arrow'), marker('arrow-ran'));
}

function line(edge) {
  const path = edge.loop
    ? s('path', { d: edge.loop.path, transform: `translate(${edge.loop.x},${edge.loop.y})` })
    : s('path', { d: curve(edge.points, edge.sideways) });
  return s('g', { class: 'edge' }, path);
}

/** A line through the points: straight if two are aligned, otherwise bent along the ranks. */
function curve(points, sideways) {
  const [start, ...rest] = points;
  let d = `M${start.x},${start.y}`;
  let before = start;
  for (const point of rest) {
    const straight = sideways ? Math.abs(point.y - before.y) < 0.5 : Math.abs(point.x - before.x) < 0.5;
    if (straight) d += ` L${point.x},${point.y}`;
    else if (sideways) d += ` C${(before.x + point.x) / 2},${before.y} ${(before.x + point.x) / 2},${point.y} ${point.x},${point.y}`;
    else d += ` C${before.x},${(before.y + point.y) / 2} ${point.x},${(before.y + point.y) / 2} ${point.x},${point.y}`;
    before = point;
  }
  return d;
}

function label(edge) {
  const texts = edge.labels.map(({ text, title, x, y }) => s('text', { class: 'label', x, y, dy: '.35em' }, s('title', {}, title ?? text), text));
  return s('g', { class: 'labels' }, texts);
}

function legend() {
  const item = (status) => h('li', { 'data-status': status }, h('i', { class: 'dot' }), status);
  return h('ul', { class: 'legend', 'aria-label': 'Colours' }, ['init', 'queued', 'active', 'finished', 'error'].map(item));
}
