// Cuts a Markdown text into sections that can be parsed one by one. A text that grows changes only its last section.

/** From this size on, a section ends before the next block that cannot belong to the one before. */
const WANTED = 1000;
/** From these sizes on, it ends at the next empty line, or at the next line. */
const LARGE = 4000;
const LARGEST = 8000;

const FENCE = /^ {0,3}(`{3,}|~{3,})(.*)$/;
/** A line that may continue the block before the empty line: part of a list, or indented. */
const CONTINUES = /^(\s|[-*+>] ?|\d{1,9}[.)] )/;

/** The sections of a text; joined they are the text. */
export function sections(text: string): string[] {
  const found: string[] = [];
  let [start, at] = [0, 0];
  let fence: string | null = null;
  let empty = false;
  while (at < text.length) {
    const end = text.indexOf('\n', at) < 0 ? text.length : text.indexOf('\n', at) + 1;
    const line = text.slice(at, end).trimEnd();
    const size = at - start;
    const apart = empty && line !== '' && ((size >= WANTED && !CONTINUES.test(line)) || size >= LARGE);
    if (fence === null && (apart || size >= LARGEST)) {
      found.push(text.slice(start, at));
      start = at;
    }
    const [, mark, rest] = FENCE.exec(line) ?? [];
    if (mark !== undefined) {
      if (fence === null) fence = mark;
      else if (mark.startsWith(fence) && rest === '') fence = null;
    }
    empty = line === '';
    at = end;
  }
  if (start < text.length) found.push(text.slice(start));
  return found;
}
