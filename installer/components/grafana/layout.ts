import type { Panel } from './dashboards.ts';

/** Grafana's grid is this wide. */
const COLUMNS = 24;
const SIZES = { stat: { w: 4, h: 4 }, timeseries: { w: 12, h: 8 } } as const;

export interface PlacedPanel extends Panel {
  /** From 1. */
  readonly id: number;
  readonly place: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
}

/** Places panels in rows from left to right, in their order. */
export function placed(panels: readonly Panel[]): PlacedPanel[] {
  let x = 0;
  let y = 0;
  let rowHeight = 0;
  return panels.map((panel, index) => {
    const size = SIZES[panel.kind];
    if (x + size.w > COLUMNS || (rowHeight !== 0 && rowHeight !== size.h)) {
      x = 0;
      y += rowHeight;
    }
    const place = { x, y, ...size };
    x += size.w;
    rowHeight = size.h;
    return { ...panel, id: index + 1, place };
  });
}
