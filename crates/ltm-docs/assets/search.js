// The contents, and the search in them.
import { make, tag } from './elements.js';

/** The contents: a link to each article, under the heading before it. */
function contents(main) {
  const list = [];
  for (const element of main.querySelectorAll('h2, article')) {
    if (element.matches('h2')) list.push({ head: make('h2', element.textContent), links: make('ul') });
    else {
      const method = element.querySelector('.method');
      const link = tag('a', { href: `#${element.id}` }, method ? [method.cloneNode(true), ' '] : [], element.dataset.title);
      list.at(-1).links.append(tag('li', { 'data-of': element.id }, link));
    }
  }
  return list.filter(({ links }) => links.children.length).map(({ head, links }) => make('div', head, links));
}

/** Shows the contents, and only what has all words of the field. */
export function search(main, field, place, tally) {
  place.replaceChildren(...contents(main));
  const texts = new Map([...main.querySelectorAll('article')].map((it) => [it, `${it.dataset.title} ${it.textContent}`.toLowerCase()]));
  const find = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const [element, text] of texts) {
      element.hidden = !words.every((word) => text.includes(word));
      place.querySelector(`[data-of="${element.id}"]`).hidden = element.hidden;
      found += element.hidden ? 0 : 1;
    }
    for (const group of place.children) group.hidden = !group.querySelector('li:not([hidden])');
    tally.textContent = words.length ? `${found} of ${texts.size}` : '';
  };
  field.addEventListener('input', find);
  // A link leads to what the search has hidden, too.
  addEventListener('hashchange', () => {
    if (!document.getElementById(location.hash.slice(1))?.hidden) return;
    field.value = '';
    find();
    document.getElementById(location.hash.slice(1)).scrollIntoView();
  });
  addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.target.matches('input, textarea')) return;
    event.preventDefault();
    field.focus();
  });
}
