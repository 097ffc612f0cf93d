// Moves and zooms a picture with pointer, wheel, pinch and buttons. Until the user does, it shows the whole picture, or the part where
// something happens.

const CLOSEST = 3;
const FARTHEST = 0.08;
/** The largest automatic scale. */
const LARGEST_FIT = 1.15;
/** Below this scale, the whole picture is too small to read. */
const READABLE = 0.42;
/** The scale that is used then. */
const FOLLOWING = 0.85;
const MARGIN = 24;
/** The height of the legend at the bottom. */
const BELOW = 28;

export class Viewport {
  #pointers = new Map();
  #touched = false;
  #at = { x: 0, y: 0, scale: 1 };
  #size = { w: 1, h: 1 };
  /** The room for the picture, as it was after the last layout: to ask the element has the browser lay out the whole page at once. */
  #room = { width: 0, height: 0 };
  /** Whether the user asked for the whole picture. */
  #whole = false;
  #part = null;

  constructor(svg, scene) {
    Object.assign(this, { svg, scene });
    svg.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    svg.addEventListener('pointerdown', (event) => this.#down(event));
    svg.addEventListener('pointermove', (event) => this.#move(event));
    for (const name of ['pointerup', 'pointercancel']) svg.addEventListener(name, (event) => this.#up(event));
    // A drag is not a click.
    svg.addEventListener('click', (event) => this.dragged && event.stopPropagation(), true);
    svg.addEventListener('dblclick', () => this.fit());
  }

  /** Shows a picture of this size. */
  show({ w, h }) {
    this.#size = { w, h };
    this.resize();
  }

  /** Keeps this part in view if the whole picture would be too small to read. */
  follow(part) {
    this.#part = part;
    this.resize();
  }

  /** Takes the size of the room. */
  resize(room = this.#room) {
    this.#room = room;
    if (!this.#touched) this.#place();
  }

  /** Shows the whole picture. */
  fit() {
    this.#touched = false;
    this.#whole = true;
    this.#place();
  }

  #place() {
    const { width } = this.#room;
    const height = this.#room.height - BELOW;
    if (width === 0 || height <= 0) return;
    const { w, h } = this.#size;
    const fitting = Math.min((width - 2 * MARGIN) / w, (height - 2 * MARGIN) / h, LARGEST_FIT);
    if (fitting >= READABLE || this.#whole || !this.#part) {
      const scale = Math.max(FARTHEST, fitting);
      this.#set({ x: (width - w * scale) / 2, y: (height - h * scale) / 2, scale });
      return;
    }
    const { x, y, w: partWidth, h: partHeight } = this.#part;
    this.#set({
      x: shift(width, w * FOLLOWING, (x + partWidth / 2) * FOLLOWING),
      y: shift(height, h * FOLLOWING, (y + partHeight / 2) * FOLLOWING),
      scale: FOLLOWING,
    });
  }

  /** Zooms about the middle. */
  zoom(factor) {
    this.#zoomAt(factor, this.#room.width / 2, this.#room.height / 2);
  }

  #zoomAt(factor, x, y) {
    this.#touched = true;
    const scale = Math.min(CLOSEST, Math.max(FARTHEST, this.#at.scale * factor));
    const ratio = scale / this.#at.scale;
    this.#set({ x: x - (x - this.#at.x) * ratio, y: y - (y - this.#at.y) * ratio, scale });
  }

  #set(at) {
    this.#at = at;
    this.scene.setAttribute('transform', `translate(${at.x},${at.y}) scale(${at.scale})`);
  }

  #wheel(event) {
    event.preventDefault();
    const box = this.svg.getBoundingClientRect();
    this.#zoomAt(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0016)), event.clientX - box.left, event.clientY - box.top);
  }

  #down(event) {
    if (event.button !== 0) return;
    this.#pointers.set(event.pointerId, event);
    this.dragged = false;
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
    if (!this.dragged && Math.hypot(dx, dy) < 4) return;
    if (!this.dragged) this.svg.setPointerCapture(event.pointerId);
    this.dragged = true;
    this.#touched = true;
    const other = [...this.#pointers.values()].find((it) => it.pointerId !== event.pointerId);
    this.#pointers.set(event.pointerId, event);
    if (!other) {
      this.#set({ ...this.#at, x: this.#at.x + dx, y: this.#at.y + dy });
      return;
    }
    const box = this.svg.getBoundingClientRect();
    const apart = (it) => Math.max(1, Math.hypot(it.clientX - other.clientX, it.clientY - other.clientY));
    this.#zoomAt(apart(event) / apart(before), (event.clientX + other.clientX) / 2 - box.left, (event.clientY + other.clientY) / 2 - box.top);
  }

  #up(event) {
    this.#pointers.delete(event.pointerId);
  }
}

/** The offset that puts a position of the picture in the middle, without showing space beyond its edges. */
function shift(room, size, middle) {
  if (size < room) return (room - size) / 2;
  return Math.min(MARGIN, Math.max(room - size - MARGIN, room / 2 - middle));
}
