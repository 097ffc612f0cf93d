// Places the nodes of one machine in layers (Sugiyama's method): break cycles, assign ranks, order each rank so that few edges
// cross, then move nodes towards their neighbours. Labels are nodes, too, so that nothing covers them.
//
// The computation runs from top to bottom. A layout from left to right is transposed before and after it.

const RANK_GAP = 18;
const NODE_GAP = 28;
const EDGE_GAP = 14;
const SWEEPS = 8;

/**
 * `nodes`: `[{ id, w, h, beside }]`; `beside` is free space after the node, across the ranks.
 * `edges`: `[{ from, to, w, h }]` with the size of the label. `first`: the ids to start with.
 * Returns `{ w, h, at: Map id → {x, y} (top left), edges: [{ points, label: {x, y} (middle) }] }`, edges in the order given.
 */
export function layered(nodes, edges, first, sideways) {
  const turn = (it) => (sideways ? { ...it, w: it.h, h: it.w } : it);
  const graph = new Graph(nodes.map(turn), edges.map(turn), first);
  const placed = graph.place();
  if (!sideways) return placed;
  const swap = ({ x, y }) => ({ x: y, y: x });
  return {
    w: placed.h,
    h: placed.w,
    at: new Map([...placed.at].map(([id, point]) => [id, swap(point)])),
    edges: placed.edges.map(({ points, label }) => ({ points: points.map(swap), label: label && swap(label) })),
  };
}

class Graph {
  constructor(nodes, edges, first) {
    this.cells = new Map(nodes.map((node) => [node.id, { ...node, real: true, up: [], down: [] }]));
    this.edges = edges;
    this.first = first;
  }

  place() {
    this.#rank(this.#forward());
    this.#route();
    this.#order();
    this.#across();
    return this.#result();
  }

  /** The edges except loops, turned so that there is no cycle: `[from, to, edge, turned]`. */
  #forward() {
    const out = new Map([...this.cells.keys()].map((id) => [id, []]));
    for (const edge of this.edges) if (edge.from !== edge.to) out.get(edge.from).push(edge);
    const state = new Map();
    const forward = [];
    const visit = (start) => {
      const stack = [[start, 0]];
      state.set(start, 'open');
      while (stack.length) {
        const top = stack.at(-1);
        const edge = out.get(top[0])[top[1]];
        top[1] += 1;
        if (!edge) {
          state.set(top[0], 'done');
          stack.pop();
          continue;
        }
        const back = state.get(edge.to) === 'open';
        forward.push(back ? [edge.to, edge.from, edge, true] : [edge.from, edge.to, edge, false]);
        if (!state.has(edge.to)) {
          state.set(edge.to, 'open');
          stack.push([edge.to, 0]);
        }
      }
    };
    for (const id of [...this.first, ...this.cells.keys()]) if (this.cells.has(id) && !state.has(id)) visit(id);
    return forward;
  }

  /** Puts nodes on even ranks, by the longest path to them. Labels have the odd ranks between. */
  #rank(forward) {
    this.forward = forward;
    const before = new Map([...this.cells.keys()].map((id) => [id, 0]));
    const out = new Map([...this.cells.keys()].map((id) => [id, []]));
    for (const [from, to] of forward) {
      out.get(from).push(to);
      before.set(to, before.get(to) + 1);
    }
    for (const cell of this.cells.values()) cell.rank = 0;
    const ready = [...before].filter(([, count]) => count === 0).map(([id]) => id);
    while (ready.length) {
      const id = ready.shift();
      for (const to of out.get(id)) {
        this.cells.get(to).rank = Math.max(this.cells.get(to).rank, this.cells.get(id).rank + 2);
        before.set(to, before.get(to) - 1);
        if (before.get(to) === 0) ready.push(to);
      }
    }
  }

  /** Adds cells along each edge; one of them holds the label. */
  #route() {
    this.ranks = [];
    for (const cell of this.cells.values()) (this.ranks[cell.rank] ??= []).push(cell);
    this.routes = new Map();
    for (const [from, to, edge, turned] of this.forward) {
      const [head, tail] = [this.cells.get(from), this.cells.get(to)];
      const middle = head.rank + 1 + 2 * Math.floor((tail.rank - head.rank - 1) / 4);
      const cells = [head];
      for (let rank = head.rank + 1; rank < tail.rank; rank += 1) {
        const label = rank === middle;
        const cell = { rank, w: label ? edge.w : 0, h: label ? edge.h : 0, up: [], down: [], label };
        (this.ranks[rank] ??= []).push(cell);
        cells.push(cell);
      }
      cells.push(tail);
      for (let i = 1; i < cells.length; i += 1) {
        cells[i - 1].down.push(cells[i]);
        cells[i].up.push(cells[i - 1]);
      }
      this.routes.set(edge, { cells, turned });
    }
    for (let rank = 0; rank < this.ranks.length; rank += 1) this.ranks[rank] ??= [];
  }

  #order() {
    const number = () => {
      for (const rank of this.ranks) rank.forEach((cell, i) => (cell.order = i));
    };
    number();
    let best = { crossings: this.#crossings(), ranks: this.ranks.map((rank) => rank.slice()) };
    for (let sweep = 0; sweep < SWEEPS && best.crossings > 0; sweep += 1) {
      const down = sweep % 2 === 0;
      for (const rank of down ? this.ranks : this.ranks.toReversed()) {
        for (const cell of rank) cell.weight = mean((down ? cell.up : cell.down).map((it) => it.order)) ?? cell.order;
        rank.sort((a, b) => a.weight - b.weight || a.order - b.order);
        rank.forEach((cell, i) => (cell.order = i));
      }
      const crossings = this.#crossings();
      if (crossings < best.crossings) best = { crossings, ranks: this.ranks.map((rank) => rank.slice()) };
    }
    this.ranks = best.ranks;
    number();
  }

  #crossings() {
    let count = 0;
    for (const rank of this.ranks) {
      const ends = rank.flatMap((cell) => cell.down.map((it) => it.order).sort((a, b) => a - b));
      if (ends.length > 400) return 0;
      for (let i = 0; i < ends.length; i += 1) for (let j = i + 1; j < ends.length; j += 1) if (ends[i] > ends[j]) count += 1;
    }
    return count;
  }

  /** Positions across the ranks: each cell as near to its neighbours as its rank allows. */
  #across() {
    for (const rank of this.ranks) {
      let x = 0;
      for (const cell of rank) {
        cell.x = x + cell.w / 2;
        x += cell.w + (cell.beside ?? 0) + NODE_GAP;
      }
    }
    for (let sweep = 0; sweep < 2 * SWEEPS; sweep += 1) {
      const down = sweep % 2 === 0;
      const both = sweep >= 2 * SWEEPS - 2;
      for (const rank of down ? this.ranks : this.ranks.toReversed()) {
        settle(rank, (cell) => (both ? [...cell.up, ...cell.down] : down ? cell.up : cell.down));
      }
    }
    const least = Math.min(...this.ranks.flat().map((cell) => cell.x - cell.w / 2));
    for (const cell of this.ranks.flat()) cell.x -= least;
  }

  #result() {
    let y = 0;
    for (const rank of this.ranks) {
      const height = Math.max(0, ...rank.map((cell) => cell.h));
      for (const cell of rank) Object.assign(cell, { y: y + height / 2, top: y, bottom: y + height });
      y += height + RANK_GAP;
    }
    const cells = this.ranks.flat();
    const at = new Map([...this.cells].map(([id, cell]) => [id, { x: cell.x - cell.w / 2, y: cell.y - cell.h / 2 }]));
    return {
      w: Math.max(0, ...cells.map((cell) => cell.x + cell.w / 2 + (cell.beside ?? 0))),
      h: Math.max(0, y - RANK_GAP),
      at,
      edges: this.edges.map((edge) => this.#line(edge)),
    };
  }

  /** The line of an edge: straight within a rank, bent between ranks. */
  #line(edge) {
    const route = this.routes.get(edge);
    if (!route) return { points: [], label: null };
    const { cells, turned } = route;
    const [head, tail] = [cells[0], cells.at(-1)];
    const inner = cells.slice(1, -1);
    const start = { x: port(head, 'down', cells[1]), y: head.y + head.h / 2 };
    const end = { x: port(tail, 'up', cells.at(-2)), y: tail.y - tail.h / 2 };
    const through = (cell) => (cell.rank % 2 ? [{ x: cell.x, y: cell.y }] : [{ x: cell.x, y: cell.top }, { x: cell.x, y: cell.bottom }]);
    const points = [start, ...inner.flatMap(through), end];
    const holder = inner.find((cell) => cell.label);
    return { points: turned ? points.reverse() : points, label: { x: holder.x, y: holder.y } };
  }
}

/** Where an edge leaves a node. Edges of one side are spread, so that they do not overlap. */
function port(cell, side, neighbour) {
  const edges = cell[side].toSorted((a, b) => a.x - b.x);
  const room = Math.min(cell.w * 0.6, (edges.length - 1) * 26);
  const step = edges.length > 1 ? room / (edges.length - 1) : 0;
  return cell.x - room / 2 + edges.indexOf(neighbour) * step;
}

function mean(numbers) {
  return numbers.length ? numbers.reduce((sum, it) => sum + it, 0) / numbers.length : undefined;
}

function gapBetween(a, b) {
  return (a.w + b.w) / 2 + (a.beside ?? 0) + (a.real && b.real ? NODE_GAP : EDGE_GAP);
}

/** Moves the cells of a rank towards the mean of their neighbours, and keeps order and distances: least squares, pooling cells
 * that would collide. */
function settle(rank, neighbours) {
  let offset = 0;
  const blocks = [];
  rank.forEach((cell, i) => {
    if (i > 0) offset += gapBetween(rank[i - 1], cell);
    cell.offset = offset;
    const near = neighbours(cell);
    const weight = near.length === 0 ? 0.05 : cell.real ? 1 : 2;
    const wanted = (mean(near.map((it) => it.x)) ?? cell.x) - offset;
    let block = { sum: wanted * weight, weight, cells: [cell] };
    while (blocks.length && blocks.at(-1).sum / blocks.at(-1).weight > block.sum / block.weight) {
      const before = blocks.pop();
      block = { sum: before.sum + block.sum, weight: before.weight + block.weight, cells: before.cells.concat(block.cells) };
    }
    blocks.push(block);
  });
  for (const { sum, weight, cells } of blocks) for (const cell of cells) cell.x = sum / weight + cell.offset;
}
