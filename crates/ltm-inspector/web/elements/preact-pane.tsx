// A pane that Preact draws, with the shape of all panes.

import { render, type FunctionComponent } from 'preact';

export interface Pane<Model> {
  element: HTMLElement;
  update(model: Model): void;
}

/** The pane draws its component again for each model. Give what costs much to `useMemo`, by the parts of the model that it needs. */
export function preactPane<Model, Acts>(Component: FunctionComponent<{ model: Model; acts: Acts }>, { className, label, acts }: { className: string; label: string; acts: Acts }): Pane<Model> {
  const element = document.createElement('div');
  element.className = `scroll ${className}`;
  element.tabIndex = 0;
  element.setAttribute('role', 'region');
  element.setAttribute('aria-label', label);
  // A copy: with signals, Preact does not draw a component again whose properties are the same objects.
  return { element, update: (model) => render(<Component model={{ ...model }} acts={acts} />, element) };
}
