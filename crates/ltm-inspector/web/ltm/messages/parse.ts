// Parses Markdown, a few milliseconds in each frame, however much there is.

import MarkdownIt from 'markdown-it';

/** How long to parse in one frame, in milliseconds. */
const SLICE = 6;
/** Sections to keep parsed. */
const KEPT = 1500;
/** Longer sections are shown as they are. */
const LONGEST = 20_000;

const parser = new MarkdownIt({ html: false, breaks: true, linkify: true });
parser.linkify.set({ fuzzyLink: false, fuzzyEmail: false });

export type Token = ReturnType<typeof parser.parse>[number];

const parsed = new Map<string, Token[] | null>();
const waiting = new Map<() => void, string>();
let spent = 0;
let frame = 0;

/** The tokens of a section; null if it is too long. If there is no time left in this frame, undefined; `later` is called once they are there. */
export function tokensOf(text: string, later: () => void): Token[] | null | undefined {
  if (parsed.has(text)) return parsed.get(text);
  if (spent < SLICE) return parse(text);
  waiting.set(later, text);
  schedule();
  return undefined;
}

/** No longer wants to be called. */
export function forget(later: () => void): void {
  waiting.delete(later);
}

function parse(text: string): Token[] | null {
  const begin = performance.now();
  const tokens = text.length > LONGEST ? null : parser.parse(text, {});
  spent += performance.now() - begin;
  schedule();
  if (parsed.size >= KEPT) parsed.delete(parsed.keys().next().value as string);
  parsed.set(text, tokens);
  return tokens;
}

function schedule(): void {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    spent = 0;
    // The last ones first: the page shows the end of a conversation.
    for (const [later, text] of [...waiting].toReversed()) {
      if (spent >= SLICE) break;
      waiting.delete(later);
      if (!parsed.has(text)) parse(text);
      later();
    }
    if (waiting.size > 0) schedule();
  });
}
