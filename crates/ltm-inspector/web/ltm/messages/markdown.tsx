// Markdown as elements, made of the parser's tokens: no text ever becomes markup.

import { Component, h, type ComponentChild, type ComponentChildren } from 'preact';
import { forget, tokensOf, type Token } from './parse.js';
import { sections } from './sections.js';

/** A text; `growing` texts end in a cursor. */
export function Markdown({ text, growing = false }: { text: string; growing?: boolean }) {
  return (
    <div class={growing ? 'markdown growing' : 'markdown'}>
      {sections(text).map((section, at) => <Section key={at} text={section} />)}
    </div>
  );
}

class Section extends Component<{ text: string }> {
  #shown: ComponentChildren;
  #text: string | undefined;
  readonly #later = () => this.forceUpdate();

  override shouldComponentUpdate({ text }: { text: string }) {
    return text !== this.props.text;
  }

  override componentWillUnmount() {
    forget(this.#later);
  }

  override render() {
    const { text } = this.props;
    if (text === this.#text) return this.#shown;
    const tokens = tokensOf(text, this.#later);
    // Until the longer text is parsed, a text that grows stays as it was.
    if (tokens === undefined) return this.#text !== undefined && text.startsWith(this.#text) ? this.#shown : <p class="plain">{text}</p>;
    this.#text = text;
    this.#shown = tokens === null ? <p class="plain">{text}</p> : elements(tokens);
    return this.#shown;
  }
}

interface Open {
  tag: string | null;
  properties: Record<string, unknown>;
  children: ComponentChild[];
}

/** The elements that a text can become; everything else of a token is dropped. */
const TAGS = new Set(['p', 'blockquote', 'ul', 'ol', 'li', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'strong', 'em', 's']);

function elements(tokens: readonly Token[]): ComponentChild[] {
  const root: Open = { tag: null, properties: {}, children: [] };
  const stack = [root];
  for (const token of tokens) {
    const top = stack.at(-1) as Open;
    if (token.nesting === 1) stack.push(opened(token));
    else if (token.nesting === -1) {
      stack.pop();
      (stack.at(-1) as Open).children.push(...closed(top));
    } else top.children.push(...leaf(token));
  }
  return root.children;
}

function opened(token: Token): Open {
  if (token.hidden) return { tag: null, properties: {}, children: [] };
  if (token.type === 'heading_open') return { tag: 'h3', properties: { class: token.tag }, children: [] };
  if (token.type === 'link_open') return { ...link(String(token.attrGet('href') ?? ''), token.attrGet('title')), children: [] };
  const properties: Record<string, unknown> = {};
  const start = token.attrGet('start');
  if (token.tag === 'ol' && start !== null) properties.start = Number(start);
  const align = /text-align:(\w+)/.exec(String(token.attrGet('style') ?? ''))?.[1];
  if (align) properties['data-align'] = align;
  return { tag: TAGS.has(token.tag) ? token.tag : 'span', properties, children: [] };
}

/** Links lead out of the page; what a browser cannot open from here is text. */
function link(href: string, title: unknown): Pick<Open, 'tag' | 'properties'> {
  if (!/^(https?:|mailto:)/i.test(href)) return { tag: 'span', properties: { title: href } };
  return { tag: 'a', properties: { href, title, target: '_blank', rel: 'noopener noreferrer nofollow' } };
}

function closed({ tag, properties, children }: Open): ComponentChild[] {
  if (tag === null) return children;
  const element = h(tag, properties, children);
  return [tag === 'table' ? <div class="table" role="group" aria-label="Table" tabIndex={0}>{element}</div> : element];
}

function leaf(token: Token): ComponentChild[] {
  switch (token.type) {
    case 'inline': return elements(token.children ?? []);
    case 'fence':
    case 'code_block': return [<pre data-language={token.info.trim().split(/\s/)[0] || undefined}><code>{token.content}</code></pre>];
    case 'code_inline': return [<code>{token.content}</code>];
    case 'hr': return [<hr />];
    case 'hardbreak':
    case 'softbreak': return [<br />];
    // The policy of the page lets no image of another host in.
    case 'image': {
      const { tag, properties } = link(String(token.attrGet('src') ?? ''), null);
      return [h(tag as string, properties, `image: ${token.content || 'no description'}`)];
    }
    default: return [token.content];
  }
}
