// The field configuration of a panel, completed with the defaults of Grafana's panels.

import { FieldColorModeId, FieldConfigOptionsRegistry, ThresholdsMode, identityOverrideProcessor } from '@grafana/data';

const thresholds = { mode: ThresholdsMode.Absolute, steps: [{ value: -Infinity, color: 'green' }, { value: 80, color: 'red' }] };

const defaults = {
  stat: { color: { mode: FieldColorModeId.Thresholds }, thresholds },
  timeseries: { color: { mode: FieldColorModeId.PaletteClassic }, thresholds },
};

const lines = { drawStyle: 'line', lineInterpolation: 'linear', lineWidth: 1, fillOpacity: 0, showPoints: 'auto', pointSize: 5, spanNulls: false };

/** The `fieldConfig` of a panel, and a registry of the properties that it sets, for `applyFieldOverrides`. */
export function fieldConfiguration(panel) {
  const { overrides = [], defaults: own } = panel.fieldConfig;
  const custom = panel.type === 'timeseries' ? { custom: { ...lines, ...own.custom } } : {};
  const fieldConfig = { overrides, defaults: { ...defaults[panel.type], ...own, ...custom } };
  const standard = Object.keys(fieldConfig.defaults).filter((id) => id !== 'custom');
  const ofPanel = Object.keys(fieldConfig.defaults.custom ?? {}).map((id) => `custom.${id}`);
  const ofOverrides = overrides.flatMap(({ properties }) => properties.map(({ id }) => id));
  const ids = new Set([...standard, ...ofPanel, ...ofOverrides]);
  return { fieldConfig, fieldConfigRegistry: new FieldConfigOptionsRegistry(() => [...ids].map(property)) };
}

function property(id) {
  const isCustom = id.startsWith('custom.');
  const path = isCustom ? id.slice('custom.'.length) : id;
  return { id, path, name: id, isCustom, process: identityOverrideProcessor, shouldApply: () => true };
}
