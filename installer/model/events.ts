/** What long work tells whoever watches. Renderers stand in `cli/display`; nothing below `cli/` prints. */
export type ProgressEvent =
  | { readonly kind: 'start'; readonly id: string; readonly text: string }
  | {
      readonly kind: 'progress';
      readonly id: string;
      readonly text: string;
      readonly done?: number;
      readonly total?: number;
    }
  | {
      readonly kind: 'end';
      readonly id: string;
      readonly result: 'done' | 'failed' | 'unchanged';
      readonly seconds: number;
    }
  | { readonly kind: 'notice'; readonly text: string }
  | { readonly kind: 'warning'; readonly code: string; readonly text: string };

export type Report = (event: ProgressEvent) => void;
