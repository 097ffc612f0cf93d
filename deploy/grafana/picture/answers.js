// Runs the queries of a panel, and converts the answers to Grafana's data frames.

import { FieldType, dateTime, rangeUtil } from '@grafana/data';

/** A time range that ends now, as Grafana's `now-10m`. */
export function lastMinutes(minutes, now = Date.now()) {
  const [from, to] = [dateTime(now - minutes * 60_000), dateTime(now)];
  return { from, to, raw: { from: `now-${minutes}m`, to: 'now' } };
}

/** Grafana's values of `$__interval` and `$__rate_interval` in milliseconds: one point per pixel, but at most one per scrape. */
function intervals(timeRange, width, scrapeInterval) {
  const lowest = rangeUtil.intervalToMs(scrapeInterval);
  const interval = rangeUtil.calculateInterval(timeRange, width, scrapeInterval).intervalMs;
  return { interval, rate: Math.max(interval + lowest, 4 * lowest) };
}

/** Runs all queries of a panel; returns one frame per series, in Prometheus's order. */
export async function ask({ panel, timeRange, width, scrapeInterval }) {
  const { interval, rate } = intervals(timeRange, width, scrapeInterval);
  const answers = panel.targets.map(async (target) => {
    const expression = target.expr
      .replaceAll('$__rate_interval', `${rate / 1000}s`)
      .replaceAll('$__interval', `${interval / 1000}s`);
    if (expression.includes('$')) throw new Error(`${panel.title}: unsupported variable in ${expression}`);
    const step = interval / 1000;
    // Like Grafana, aligns the range to whole steps, so that repeated pictures are stable.
    const [start, end] = [timeRange.from, timeRange.to].map((time) => Math.floor(time.valueOf() / interval) * step);
    const form = new URLSearchParams({ query: expression, start, end, step });
    const answer = await (await fetch('/api/v1/query_range', { method: 'POST', body: form })).json();
    if (answer.status !== 'success') throw new Error(`${panel.title}: ${answer.error}: ${expression}`);
    return answer.data.result.map((series) => frame(series, target, interval));
  });
  return (await Promise.all(answers)).flat();
}

function frame({ metric, values }, target, interval) {
  const { __name__, ...labels } = metric;
  const name = target.legendFormat?.replace(/{{\s*(\w+)\s*}}/g, (_, label) => metric[label] ?? '') || undefined;
  const numbers = values.map(([, text]) => (Number.isFinite(Number(text)) ? Number(text) : null));
  return {
    refId: target.refId,
    length: values.length,
    fields: [
      { name: 'Time', type: FieldType.time, config: { interval }, values: values.map(([time]) => time * 1000) },
      { name: __name__ ?? 'Value', type: FieldType.number, labels, config: { displayNameFromDS: name }, values: numbers },
    ],
  };
}
