// The dashboard as a page: its rows and panels at their positions, drawn with Grafana's panel components.

import '@fontsource/inter/400.css';
import '@fontsource/inter/500.css';
import { EventBusSrv, applyFieldOverrides, createTheme, getFieldDisplayValues, rangeUtil, ThemeContext } from '@grafana/data';
import { initPluginTranslations } from '@grafana/i18n';
import { BigValue, GlobalStyles, Icon, PanelChrome, PanelContextProvider, TimeSeries } from '@grafana/ui';
import { createRoot } from 'react-dom/client';
import { ask, lastMinutes } from './answers.js';
import { fieldConfiguration } from './fields.js';

const WIDTH = 1600;
const MARGIN = 16;
const GAP = 8;
const ROW = 30;
const HEAD = 48;
const COLUMN = (WIDTH - 2 * MARGIN - 23 * GAP) / 24;
const TIME_ZONE = 'browser';
const asWritten = (text) => text;
const theme = createTheme({ colors: { mode: 'dark' } });

/** The position and size of a panel in a grid of 24 columns, in pixels. */
function place({ x, y, w, h }) {
  const length = (cells, size) => cells * size + (cells - 1) * GAP;
  return { left: MARGIN + x * (COLUMN + GAP), top: HEAD + y * (ROW + GAP), width: length(w, COLUMN), height: length(h, ROW) };
}

function Row({ title }) {
  const style = { display: 'flex', alignItems: 'center', gap: 8, height: ROW, ...theme.typography.h6 };
  return <div style={style}><Icon name="angle-down" />{title}</div>;
}

function Stat({ panel, frames, fieldConfig, timeRange, width, height }) {
  const { reduceOptions, colorMode, graphMode, textMode = 'auto', justifyMode = 'auto' } = panel.options;
  const values = getFieldDisplayValues({
    data: frames, fieldConfig, reduceOptions, theme, sparkline: graphMode !== 'none', replaceVariables: asWritten, timeZone: TIME_ZONE,
  });
  return values.map(({ display, sparkline }, number) => (
    <BigValue key={number} value={display} sparkline={sparkline && { ...sparkline, timeRange }} count={values.length}
      width={width / values.length} height={height} theme={theme} {...{ colorMode, graphMode, textMode, justifyMode }} />
  ));
}

function Lines({ panel, frames, timeRange, width, height }) {
  return <TimeSeries frames={frames} structureRev={1} timeRange={timeRange} timeZone={TIME_ZONE} legend={panel.options.legend}
    options={panel.options} width={width} height={height} />;
}

const VISUALIZATIONS = { stat: Stat, timeseries: Lines };

function Panel({ panel, answers, timeRange, width, height }) {
  const Visualization = VISUALIZATIONS[panel.type];
  const { fieldConfig, fieldConfigRegistry } = fieldConfiguration(panel);
  const frames = applyFieldOverrides({
    data: answers, fieldConfig, fieldConfigRegistry, theme, replaceVariables: asWritten, timeZone: TIME_ZONE,
  });
  return (
    <PanelChrome title={panel.title} description={panel.description || undefined} width={width} height={height}>
      {(innerWidth, innerHeight) => (
        <Visualization {...{ panel, frames, fieldConfig, timeRange }} width={innerWidth} height={innerHeight} />
      )}
    </PanelChrome>
  );
}

function Dashboard({ dashboard, answers, timeRange }) {
  const bottom = Math.max(...dashboard.panels.map(({ gridPos: { y, h } }) => y + h));
  const page = { position: 'relative', width: WIDTH, height: HEAD + bottom * (ROW + GAP) + MARGIN, background: theme.colors.background.canvas };
  const head = { position: 'absolute', left: MARGIN, right: MARGIN, height: HEAD, display: 'flex', alignItems: 'center', justifyContent: 'space-between' };
  return (
    <div id="dashboard" style={page}>
      <div style={head}>
        <span style={theme.typography.h4}>{dashboard.title}</span>
        <span><Icon name="clock-nine" /> {rangeUtil.describeTimeRange(timeRange.raw)}</span>
      </div>
      {dashboard.panels.map((panel) => {
        const { left, top, width, height } = place(panel.gridPos);
        return (
          <div key={panel.id} style={{ position: 'absolute', left, top, width, height }}>
            {panel.type === 'row' ? <Row title={panel.title} /> : <Panel answers={answers.get(panel.id)} {...{ panel, timeRange, width, height }} />}
          </div>
        );
      })}
    </div>
  );
}

/** Draws the dashboard; returns the titles of panels without data. */
window.draw = async ({ dashboard, minutes, scrapeInterval }) => {
  await initPluginTranslations('ltm-live');
  const timeRange = lastMinutes(minutes);
  const panels = dashboard.panels.filter((panel) => panel.type !== 'row');
  const asked = panels.map(async (panel) => {
    if (!VISUALIZATIONS[panel.type]) throw new Error(`${panel.title}: unsupported panel type ${panel.type}`);
    const { width } = place(panel.gridPos);
    return [panel.id, await ask({ panel, timeRange, width: Math.round(width), scrapeInterval })];
  });
  const answers = new Map(await Promise.all(asked));
  createRoot(document.getElementById('root')).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PanelContextProvider value={{ eventsScope: 'dashboard', eventBus: new EventBusSrv() }}>
        <Dashboard {...{ dashboard, answers, timeRange }} />
      </PanelContextProvider>
    </ThemeContext.Provider>,
  );
  const shows = (panel) => answers.get(panel.id).some(({ fields: [, value] }) => value.values.some((number) => number !== null));
  return panels.filter((panel) => !shows(panel)).map((panel) => panel.title);
};
