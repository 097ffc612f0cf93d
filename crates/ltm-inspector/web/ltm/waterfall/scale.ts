// Where a place in the history is on the horizontal axis.

import { duration } from '../../data/time.js';

const UNITS: [number, string][] = [[864e5, 'd'], [36e5, 'h'], [6e4, 'min'], [1e3, 's']];
/** Pixels between two labels of the axis. */
const APART = 86;
const NICE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1.5e4, 3e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5, 72e5, 216e5, 432e5, 864e5];

export type Unit = 'time' | 'steps';

export class Scale {
  readonly last: number;

  /** `times`: of the snapshots, in milliseconds. */
  constructor(private readonly times: readonly number[], private readonly width: number, private readonly unit: Unit) {
    this.last = times.length - 1;
  }

  timeAt(place: number): number {
    return this.times[Math.min(this.last, Math.max(0, place))] ?? 0;
  }

  /** The pixels of a place. */
  x(place: number): number {
    const at = Math.min(this.last, Math.max(0, place));
    if (this.unit === 'steps') return (at / Math.max(1, this.last)) * this.width;
    return this.#share(this.timeAt(at)) * this.width;
  }

  /** The place nearest to some pixels. */
  placeAt(x: number): number {
    const share = Math.min(1, Math.max(0, x / this.width));
    if (this.unit === 'steps') return Math.round(share * this.last);
    const [begin, end] = [this.timeAt(0), this.timeAt(this.last)];
    const wanted = begin + share * (end - begin);
    const at = this.before(wanted);
    return wanted - this.timeAt(at) > this.timeAt(at + 1) - wanted ? at + 1 : at;
  }

  /** The last place at or before a time. */
  before(time: number): number {
    let [low, high] = [0, this.last];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.timeAt(middle) <= time) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** How long it took from one place to another, in words. */
  took(from: number, to: number): string {
    return duration(this.timeAt(to) - this.timeAt(from));
  }

  /** The labels of the axis. */
  labels(first: number): { x: number; text: string }[] {
    const most = Math.max(1, Math.floor(this.width / APART));
    const whole = this.unit === 'steps' ? this.last : this.timeAt(this.last) - this.timeAt(0);
    const step = NICE.find((it) => it * most >= whole) ?? Math.ceil(whole / most / 864e5) * 864e5;
    const count = Math.min(most, Math.floor(whole / step)) + 1;
    return Array.from({ length: count }, (_, n) => ({
      x: whole > 0 ? (n * step / whole) * this.width : 0,
      text: this.unit === 'steps' ? String(first + n * step) : exact(n * step),
    }));
  }

  #share(time: number): number {
    const [begin, end] = [this.timeAt(0), this.timeAt(this.last)];
    return end > begin ? (time - begin) / (end - begin) : 1;
  }
}

/** The time exactly, in one unit or two: `1.5 s`, `1 min 30 s`. Labels must differ. */
function exact(ms: number): string {
  if (ms < 6e4) return ms < 1e3 ? `${ms} ms` : `${ms / 1e3} s`;
  let rest = ms;
  const parts: string[] = [];
  for (const [size, unit] of UNITS) {
    if (rest >= size) parts.push(`${Math.floor(rest / size)} ${unit}`);
    rest %= size;
  }
  return parts.join(' ');
}
