import assert from 'node:assert/strict';
import { test } from 'node:test';

import { chat, stream, tokens } from '../stand/chat.js';
import { at, live, openPage, stand, until } from '../stand/stand.js';

let service;
let browser;
stand((it) => ({ service, browser } = it));

const row = (page, index) => page.locator(`.message[data-index="${index}"]`);
const isAtEnd = (page) => page.locator('.messages').evaluate((it) => it.scrollHeight - it.scrollTop - it.clientHeight < 60);

test('a chat is shown as a conversation: Markdown, and each tool call with its arguments and its result', async () => {
  const id = await chat(service, 5);
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?tab=messages`);
  await live(page);
  const answer = row(page, 19);
  await answer.locator('h3', { hasText: 'Harbour 4' }).waitFor();
  assert.deepEqual(await answer.locator('strong, li, td, a').allTextContents(), ['lit by hand', 'the archive', 'oil lamps', 'gas, from the works', '1814', '4']);
  assert.equal(await answer.locator('pre[data-language="python"]').textContent(), 'light(4)\n');
  assert.equal(await answer.locator('a').getAttribute('rel'), 'noopener noreferrer nofollow');
  assert.equal(await page.locator('.message').count(), 15, 'results are with their calls');
  await row(page, 17).locator('summary', { hasText: /^web_searchquery="harbour 4", limit=5done$/ }).click();
  assert.deepEqual((await row(page, 17).locator('pre').allTextContents()).map((text) => JSON.parse(text)), [{ query: 'harbour 4', limit: 5 }, { hits: ['page 4'] }]);
  await row(page, 16).getByRole('button', { name: 'Show message 16 in the state' }).click();
  await page.locator('.tree .row[aria-selected="true"]', { hasText: '16' }).waitFor();
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('the conversation is the one at the chosen snapshot, and what the step did is marked', async () => {
  const id = await chat(service, 30);
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?tab=messages&at=2`);
  await live(page);
  await at(page, '2 of 120');
  await page.locator('.message[data-mark="added"]', { hasText: 'web_search' }).waitFor();
  assert.equal(await page.locator('.message').count(), 2);
  await page.locator('.call-state', { hasText: 'no result' }).waitFor();
  await page.keyboard.press('j');
  await page.locator('.message[data-mark="changed"] .call-state', { hasText: 'done' }).waitFor();
  await page.keyboard.press('Home');
  await page.getByText('There are no messages in the state of this snapshot').waitFor();
  await page.keyboard.press('End');
  await row(page, 119).waitFor();
  await until('the end', () => isAtEnd(page));
  // A message in the middle of the history is brought into view.
  await page.goto(`${service.url}/#/ltm/${id}?tab=messages&at=61`);
  await until('the message of the step is in view', () => row(page, 60).evaluate((it) => {
    const [own, pane] = [it.getBoundingClientRect(), it.closest('.scroll').getBoundingClientRect()];
    return own.top < pane.bottom && own.bottom > pane.top;
  }));
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('tokens appear as they are streamed, at the end of 300 messages, and change nothing else', async () => {
  const id = await chat(service, 75);
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?tab=messages`);
  await live(page);
  await row(page, 299).locator('h3').waitFor();
  await until('the end', () => isAtEnd(page));
  await until('all is parsed', async () => (await page.locator('.markdown .plain').count()) === 0);
  // A token must not cost more because there are many messages: nothing but the last one is touched.
  await page.evaluate(() => {
    globalThis.touched = 0;
    const inOld = ({ target }) => (target.nodeType === 1 ? target : target.parentElement)?.closest('.message:not([data-index="300"]):not([data-index="299"])');
    new MutationObserver((records) => (globalThis.touched += records.filter(inOld).length)).observe(document.querySelector('.thread'), { subtree: true, childList: true, characterData: true, attributes: true });
  });
  const pieces = Array.from({ length: 3 }, (_, n) => tokens(75 + n)).flat();
  const seen = new Set();
  const written = stream(service, id, 300, pieces);
  const watching = setInterval(async () => seen.add(await page.locator('.growing').textContent({ timeout: 500 }).catch(() => '')), 40);
  await written;
  await row(page, 300).locator('h3', { hasText: 'Harbour 77' }).waitFor();
  await until('the text is complete', async () => (await page.locator('.growing').count()) === 0);
  clearInterval(watching);
  assert.ok(seen.size > 3, `the text was seen to grow: ${seen.size}`);
  await until('the end stays in view', () => isAtEnd(page));
  assert.equal(await page.evaluate(() => globalThis.touched), 0, 'messages that did not change stay as they are');
  // Earlier messages come when the reader scrolls up, and what is in view stays there.
  assert.ok((await page.locator('.message').count()) < 100);
  for (let n = 0; (await page.locator('.earlier').count()) > 0; n += 1) {
    assert.ok(n < 20);
    const known = await page.locator('.message').count();
    await page.locator('.messages').evaluate((it) => (it.scrollTop = 0));
    await until('more', async () => (await page.locator('.message').count()) > known);
  }
  await row(page, 0).waitFor();
  assert.equal(await page.locator('.message').count(), 226);
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('a reader who scrolled up stays there while tokens come', async () => {
  const id = await chat(service, 30);
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?tab=messages`);
  await live(page);
  await row(page, 119).locator('h3').waitFor();
  await until('the end', () => isAtEnd(page));
  await page.locator('.messages').evaluate((it) => (it.scrollTop -= 900));
  await until('away from the end', async () => !(await isAtEnd(page)));
  const top = () => page.locator('.messages').evaluate((it) => it.scrollTop);
  const before = await top();
  await stream(service, id, 120, tokens(30));
  await row(page, 120).locator('h3').waitFor();
  assert.ok(Math.abs((await top()) - before) < 300, `${before} → ${await top()}`);
  assert.ok(!(await isAtEnd(page)));
  await page.context().close();
});

const EVIL = [
  '<img src=x onerror="globalThis.hit=1"><script>globalThis.hit=1</script>', '[a](javascript:globalThis.hit=1) [b](data:text/html,x) [c](vbscript:x) [d](/inspector/main.js) <javascript:globalThis.hit=1>',
  '![x](https://evil.example/x.png) ![y](javascript:globalThis.hit=1)', '```"><script>globalThis.hit=1</script>\n</code></pre><script>globalThis.hit=1</script>\n```', `${'> '.repeat(3000)}deep`, `${'[a]('.repeat(2000)}`,
  '| a |\n| :-: |\n| <b onclick=globalThis.hit=1>x</b> |', `${'*a **a '.repeat(3000)}`, '&lt;script&gt;globalThis.hit=1&lt;/script&gt;', 'x'.repeat(100_000), '\u0000\uD800 <iframe src="javascript:globalThis.hit=1">',
];

test('whatever a message says is text', async () => {
  const text = (content) => [{ role: 'user', content }, { role: content, name: content, content: [{ type: content, text: content }, { type: 'image_url', image_url: { url: content } }, { type: 'thinking', thinking: content }] }];
  const calls = EVIL.map((it, n) => ({ role: 'assistant', content: '', tool_calls: [{ id: `${n}`, function: { name: it.slice(0, 200), arguments: it } }] }));
  const results = EVIL.map((it, n) => ({ role: 'tool', tool_call_id: `${n + 2}`, content: it }));
  const { id } = await service.post('ltm', { fqn: 'app.Evil', state: { '<b>/~': JSON.parse(JSON.stringify([...EVIL.flatMap(text), ...calls, ...results]).replaceAll('\\ud800', '')) } });
  const page = await openPage(browser, `${service.url}/#/ltm/${id}`);
  await live(page);
  await page.getByRole('tab', { name: 'Messages' }).click();
  await page.locator('.message').first().waitFor();
  await page.evaluate(() => document.querySelectorAll('.fold').forEach((it) => (it.open = true)));
  await page.locator('.fold-body').last().waitFor();
  await until('all is parsed', async () => (await page.locator('.markdown blockquote').count()) > 20);
  assert.equal(await page.evaluate(() => globalThis.hit), undefined);
  assert.equal(await page.locator('img:not(.brand img), main script, main iframe, main b').count(), 0);
  for (const href of await page.$$eval('.message a', (links) => links.map((it) => it.getAttribute('href')))) assert.match(href, /^https?:/);
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('the link names the conversation that was chosen', async () => {
  const { id } = await service.post('ltm', { fqn: 'app.Team', state: { main: [{ role: 'user', content: 'Plan it.' }, { role: 'assistant', content: 'Planned.' }], side: [{ role: 'user', content: 'Check it.' }] } });
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?tab=messages`);
  await page.locator('.message', { hasText: 'Plan it.' }).waitFor();
  await page.getByLabel('Conversation').selectOption('/side');
  await page.locator('.message', { hasText: 'Check it.' }).waitFor();
  const link = await until('the link', () => /list=%2Fside/.test(page.url()) && page.url());
  await page.getByRole('tab', { name: 'State' }).click();
  await until('a link of another tab without it', () => !page.url().includes('list='));
  const other = await openPage(browser, link);
  await other.locator('.message', { hasText: 'Check it.' }).waitFor();
  assert.deepEqual([...page.wrong, ...other.wrong], []);
  await Promise.all([page, other].map((it) => it.context().close()));
});
