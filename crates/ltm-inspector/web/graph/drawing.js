// The layout of a machine: sizes from the inside out, the children of each machine in layers or in a grid.

import { edgeKey } from './machine.js';
import { layered } from './layout.js';

const NODE_HEIGHT = 34;
const LINE = 15;
const PAD = 16;
const TITLE = 34;
const GRID_GAP = 10;
const LOOP = 30;
const START = 12;
/** The most labels to show between the same two states. */
const MOST_LABELS = 4;

const canvas = new OffscreenCanvas(1, 1).getContext('2d');

function widthOf(text, font) {
  canvas.font = font;
  return Math.ceil(canvas.measureText(text).width);
}

const NAME_FONT = '500 13px system-ui, sans-serif';
const LABEL_FONT = '11.5px system-ui, sans-serif';

/** A text, cut at the end if it is too long for a box. */
export function clipped(text, most = 34) {
  const letters = [...text];
  return letters.length > most ? `${letters.slice(0, most - 1).join('')}…` : text;
}

/** The directions to try, for the outer machine and for the machines in it. True: from left to right. */
const DIRECTIONS = [[false, false], [true, true], [false, true], [true, false]];
/** How much better another direction has to be. */
const BETTER = 1.08;

/**
 * The drawing: `{ w, h, boxes: [{ node, x, y, w, h }], edges: [{ points, loop, sideways, labels: [{ text, key, x, y }] }], starts: [{x, y}] }`,
 * in the directions that fit best into `width` × `height`; `form` names them.
 */
export function draw(machine, width, height) {
  const fit = (it) => Math.min(width / it.box.w, height / it.box.h, 1.15);
  const tried = DIRECTIONS.map((directions, form) => ({ form, box: measure(machine, { directions, aspect: width / height, depth: 0 }) }));
  const chosen = tried.reduce((best, it) => (fit(it) > fit(best) * BETTER ? it : best));
  const drawing = { w: chosen.box.w, h: chosen.box.h, boxes: [], edges: [], starts: [], form: chosen.form };
  collect(chosen.box, 0, 0, drawing);
  return drawing;
}

function measure(node, way) {
  const sideways = way.directions[Math.min(way.depth, 1)];
  const titleWidth = widthOf(clipped(node.name), NAME_FONT) + 44;
  if (node.kind === 'state') return { node, w: Math.max(72, titleWidth), h: NODE_HEIGHT, inner: null };
  const boxes = node.children.map((child) => measure(child, node.kind === 'group' ? way : { ...way, depth: way.depth + 1 }));
  const inner = node.kind === 'group' ? grid(boxes, node, way.aspect * (sideways ? 0.5 : 2)) : layers(node, boxes, sideways, way.aspect);
  const extra = node.kind === 'group' ? 44 : 0;
  return { node, w: Math.max(titleWidth + extra, inner.w + 2 * PAD), h: TITLE + inner.h + PAD, inner };
}

/** The instances of one state in rows, so that the grid has about this aspect ratio. */
function grid(boxes, node, aspect) {
  const most = Math.max(0, ...boxes.map((box) => box.w));
  const tall = Math.max(0, ...boxes.map((box) => box.h));
  const wish = Math.round(Math.sqrt((boxes.length * tall * aspect) / Math.max(1, most)));
  const columns = Math.max(1, Math.min(boxes.length, wish));
  const rows = Math.ceil(boxes.length / columns);
  const at = new Map(boxes.map((box, i) => [box.node.id, {
    x: (i % columns) * (most + GRID_GAP),
    y: Math.floor(i / columns) * (tall + GRID_GAP),
  }]));
  for (const box of boxes) box.w = most;
  const note = node.hidden > 0 || boxes.length === 0 ? 20 : 0;
  return {
    boxes, at, edges: [], starts: [],
    w: Math.max(note ? 130 : 0, Math.min(columns, Math.max(1, boxes.length)) * (most + GRID_GAP) - GRID_GAP),
    h: Math.max(0, rows * (tall + GRID_GAP) - GRID_GAP) + note,
  };
}

/** The children of a machine: children with transitions in layers, the others in a grid below. */
function layers(node, boxes, sideways, aspect) {
  const ids = new Map(boxes.map((box) => [box.node.key ?? box.node.name, box]));
  const merged = mergedEdges(node, ids);
  const starts = node.init.map((name) => ids.get(childName(name))).filter(Boolean);
  const linked = new Set([...starts, ...merged.flatMap(({ from, to }) => [from, to])]);
  const loops = new Map(merged.filter(({ from, to }) => from === to).map((edge) => [edge.from, edge]));
  // A loop is drawn beside its node, across the ranks.
  const outer = (box) => {
    const loop = loops.get(box);
    const beside = loop ? LOOP + (sideways ? loop.h : loop.w) : 0;
    return { id: box.node.id, w: box.w, h: box.h, beside };
  };
  const nodes = boxes.filter((box) => linked.has(box)).map(outer);
  const edges = merged.filter(({ from, to }) => from !== to);
  const begin = starts.map((box) => `${box.node.id}\u0000start`);
  const placed = layered(
    [...begin.map((id) => ({ id, w: START, h: START })), ...nodes],
    [
      ...starts.map((box, i) => ({ from: begin[i], to: box.node.id, w: 0, h: 0 })),
      ...edges.map((edge) => ({ from: edge.from.node.id, to: edge.to.node.id, w: edge.w, h: edge.h })),
    ],
    [...begin, ...starts.map((box) => box.node.id)],
    sideways,
  );
  const at = new Map();
  for (const [id, point] of placed.at) at.set(id, point);
  const drawn = placed.edges.map((line, i) => ({ ...(i < starts.length ? { ...line, labels: [] } : labelled(line, edges[i - starts.length])), sideways }));
  const all = drawn.concat([...loops].map(([box, edge]) => loopAt(at.get(box.node.id), box, edge, sideways)));
  const rest = boxes.filter((box) => !linked.has(box));
  const alone = grid(rest, { hidden: 0 }, aspect);
  const top = placed.h > 0 && rest.length ? placed.h + 24 : placed.h;
  for (const [id, point] of alone.at) at.set(id, { x: point.x, y: point.y + top });
  return {
    boxes, at, edges: all,
    starts: begin.map((id) => ({ x: at.get(id).x + START / 2, y: at.get(id).y + START / 2 })),
    w: Math.max(placed.w, rest.length ? alone.w : 0),
    h: rest.length ? top + alone.h : placed.h,
  };
}

/** A name may lead into a nested machine. Returns the child that it begins with. */
function childName(name) {
  return name.split('.')[0];
}

/** One edge for all transitions between the same two states. */
function mergedEdges(node, ids) {
  const merged = new Map();
  for (const it of node.transitions) {
    const [from, to] = [ids.get(childName(it.from)), ids.get(childName(it.to))];
    if (!from || !to) continue;
    const key = `${from.node.id}\u0000${to.node.id}`;
    if (!merged.has(key)) merged.set(key, { from, to, labels: [] });
    merged.get(key).labels.push({ text: clipped(it.shown, 30), title: it.shown, key: edgeKey(node.id, it) });
  }
  for (const edge of merged.values()) {
    const over = edge.labels.length - MOST_LABELS;
    edge.keys = edge.labels.map((label) => label.key);
    if (over > 0) edge.labels = [...edge.labels.slice(0, MOST_LABELS - 1), { text: `and ${over + 1} more`, key: null }];
    edge.w = Math.max(...edge.labels.map((label) => widthOf(label.text, LABEL_FONT))) + 12;
    edge.h = edge.labels.length * LINE + 4;
  }
  return [...merged.values()];
}

function labelled(line, edge) {
  const top = line.label.y - ((edge.labels.length - 1) * LINE) / 2;
  return { ...line, keys: edge.keys, w: edge.w, labels: edge.labels.map((label, i) => ({ ...label, x: line.label.x, y: top + i * LINE })) };
}

function loopAt(point, box, edge, sideways) {
  if (sideways) {
    const [x, y] = [point.x + box.w / 2, point.y + box.h];
    const top = y + LOOP - 2 + LINE / 2;
    return {
      keys: edge.keys, w: edge.w, points: [], label: null,
      loop: `M${x - 14},${y} C${x - 26},${y + LOOP} ${x + 26},${y + LOOP} ${x + 14},${y}`,
      labels: edge.labels.map((label, i) => ({ ...label, x, y: top + i * LINE })),
    };
  }
  const [x, y] = [point.x + box.w, point.y + box.h / 2];
  const top = y - ((edge.labels.length - 1) * LINE) / 2;
  return {
    keys: edge.keys, w: edge.w, points: [], label: null,
    loop: `M${x},${y - 8} C${x + LOOP},${y - 22} ${x + LOOP},${y + 22} ${x},${y + 8}`,
    labels: edge.labels.map((label, i) => ({ ...label, x: x + LOOP - 4 + edge.w / 2, y: top + i * LINE })),
  };
}

/** Collects all boxes and edges with their positions in the whole drawing. */
function collect(box, x, y, drawing) {
  drawing.boxes.push({ node: box.node, x, y, w: box.w, h: box.h });
  if (!box.inner) return;
  const [left, top] = [x + (box.w - box.inner.w) / 2, y + TITLE];
  const move = (point) => ({ x: point.x + left, y: point.y + top });
  for (const child of box.inner.boxes) {
    const place = move(box.inner.at.get(child.node.id));
    collect(child, place.x, place.y, drawing);
  }
  for (const edge of box.inner.edges) {
    drawing.edges.push({
      ...edge,
      points: edge.points.map(move),
      loop: edge.loop && { path: edge.loop, x: left, y: top },
      labels: edge.labels.map((label) => ({ ...label, ...move(label) })),
    });
  }
  drawing.starts.push(...box.inner.starts.map(move));
}
