// The bars and marks of one row.

import type { Bar, Row } from './rows.js';
import type { Scale } from './scale.js';

const HEIGHT = 26;
/** Shorter bars could not be seen. */
const NARROWEST = 2;
/** Two marks are at least so many pixels apart: half of a mark is seen. */
const MARK = 4;
/** Pixels that a text beside a bar needs for each letter. */
const LETTER = 6.2;
const APART = 7;

export function Chart({ row, scale, now }: { row: Row; scale: Scale; now: number }) {
  const drawn = joined(row.bars, scale);
  const marks = marksOf(row, scale);
  const text = textPlace(row, drawn, marks, scale.x(scale.last));
  const line = scale.x(now);
  return (
    <svg aria-hidden="true">
      <line class="now" x1={line} x2={line} y1="0" y2={HEIGHT} />
      {drawn.map(({ x, width, tone, thin }, at) => <rect key={at} data-tone={tone} x={x} width={width} y={thin ? 11 : 7} height={thin ? 4 : 12} rx={thin ? 1 : 2.5} />)}
      {marks.map(({ x, tone }) => (tone === 'finished'
        ? <circle key={`${tone} ${x}`} data-tone={tone} cx={x} cy="13" r="3" />
        : <path key={`${tone} ${x}`} data-tone={tone} d={`M${x - 4} 9l8 8m0-8l-8 8`} />))}
      {text && <text x={text.x} y="17" text-anchor={text.anchor}>{row.detail}</text>}
    </svg>
  );
}

/** Where the text fits: after the bars, or before them. */
function textPlace({ detail }: Row, bars: readonly { x: number; width: number }[], marks: readonly { x: number }[], most: number): { x: number; anchor: 'start' | 'end' } | null {
  if (detail === '' || bars.length + marks.length === 0) return null;
  const [first, last] = bars.length > 0 ? [bars[0] as { x: number }, bars.at(-1) as { x: number; width: number }] : [marks[0] as { x: number }, { ...(marks.at(-1) as { x: number }), width: 0 }];
  const width = detail.length * LETTER;
  const [begin, end] = [first.x - APART, last.x + last.width + APART];
  const free = (from: number, to: number) => from >= 0 && to <= most && marks.every(({ x }) => x + APART < from || x - APART > to);
  if (free(end, end + width)) return { x: end, anchor: 'start' };
  return free(begin - width, begin) ? { x: begin, anchor: 'end' } : null;
}

/** The bars in pixels. Bars of one tone that would touch are one bar, however many steps there are. */
function joined(bars: readonly Bar[], scale: Scale): { x: number; width: number; tone: string; thin?: boolean | undefined }[] {
  const found: { x: number; width: number; tone: string; thin?: boolean | undefined }[] = [];
  for (const { from, to, tone, thin } of bars) {
    const x = scale.x(from);
    const width = Math.max(NARROWEST, scale.x(to) - x);
    const last = found.at(-1);
    if (last && last.tone === tone && x - (last.x + last.width) < 1) last.width = Math.max(last.width, x + width - last.x);
    else found.push({ x, width, tone, thin });
  }
  return found;
}

/** The marks in pixels. Of those of one tone that would cover each other, the first stands for all. */
function marksOf(row: Row, scale: Scale): { x: number; tone: string }[] {
  const found: { x: number; tone: string }[] = [];
  const last = new Map<string, number>();
  for (const { x, tone } of row.marks.map(({ at, tone }) => ({ x: Math.round(scale.x(at)), tone })).sort((a, b) => a.x - b.x)) {
    if (x - (last.get(tone) ?? -Infinity) < MARK) continue;
    last.set(tone, x);
    found.push({ x, tone });
  }
  return found;
}
